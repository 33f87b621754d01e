import type { AlertEngine } from "../alert/engine.ts";
import { systemClock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { pause } from "../base/retry.ts";
import type { OpenLake } from "../lake/open.ts";
import type { LiveLake } from "../live/live-lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Producer, SourceStatus } from "../producer/producer.ts";
import { freshness, RecordTimes } from "../query/freshness.ts";
import { TableReports } from "../query/tables.ts";

export interface HealthMonitorOptions {
  open: OpenLake;
  pipeline: Pipeline;
  producers: readonly Producer[];
  failed(error: OperatingError): void;
  /** Called once after failures. */
  recovered(): void;
}

const INTERVAL_MS = 1_000;

/**
 * Reads, about once a second, the state of sources and layers, and has the alerts evaluate the rules on silence and
 * lag.
 */
export async function monitorHealth(
  { open, pipeline, producers, failed, recovered }: HealthMonitorOptions,
  live: LiveLake,
  alerts: AlertEngine,
  signal: AbortSignal,
): Promise<void> {
  const topic = pipeline.topic.name;
  const tables = new TableReports(open);
  const times = new RecordTimes(open.log, topic);
  const evaluate = async () => {
    const request = {
      log: open.log,
      topic,
      tables: await tables.all(),
      live: live.state().next,
      now_us: systemClock.now_us(),
      is_replay: open.lake.kind === "replay",
    };
    alerts.look({ sources: sourceStatuses(producers), layers: await freshness(request, times) });
  };
  let reported = "";
  do {
    try {
      await evaluate();
      if (reported !== "") recovered();
      reported = "";
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      // The next attempt is a second away and most likely fails with the same message.
      if (error.message !== reported) failed(error);
      reported = error.message;
    }
  } while (await pause(systemClock, INTERVAL_MS, signal));
}

export function sourceStatuses(producers: readonly Producer[]): SourceStatus[] {
  return producers.flatMap((producer) => producer.status?.() ?? []);
}
