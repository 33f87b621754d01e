import { explain } from "../base/explain.ts";
import type { Clock } from "../base/clock.ts";
import { type OperatingError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import { runProducer } from "../log/run-producer.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { startLoop } from "./loop.ts";

export interface Production {
  /** They run side by side. Each has its own loop and durable position. */
  producers: readonly Producer[];
  log: Log;
  topic: string;
  lake_folder: string;
  clock: Clock;
  events: {
    reported(report: SourceReport): void;
    appended(records: number): void;
    /** The error that keeps the source of this name waiting; null when it continues. */
    stalled(name: string, error: OperatingError | null): void;
  };
}

/**
 * Appends records of all sources to the log. Ends when every source has ended; throws when the log fails or every
 * source fails.
 */
export async function produce(
  { producers, log, topic, lake_folder, clock, events }: Production,
  signal: AbortSignal,
): Promise<void> {
  const failures: OperatingError[] = [];
  const sources = producers.map((producer) =>
    startLoop(signal, async (own) => {
      const failed = (error: OperatingError): void => {
        failures.push(error);
        if (failures.length < producers.length) events.reported(leftBehind(error));
      };
      await runProducer({
        producer,
        log,
        topic,
        lake_folder,
        clock,
        signal: own,
        report: events.reported,
        appended: events.appended,
        failed,
        stalled: (error) => events.stalled(producer.id, error),
      });
    }),
  );
  try {
    await Promise.all(sources.map(({ end }) => end));
  } finally {
    await Promise.allSettled(sources.map((source) => source.stop()));
  }
  if (failures.length === producers.length && failures[0] !== undefined) throw failures[0];
}

function leftBehind(error: OperatingError): SourceReport {
  return {
    level: "error",
    code: error.code,
    message: `${explain(error)} The other sources go on.`,
  };
}
