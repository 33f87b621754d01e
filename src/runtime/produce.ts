import { explain } from "../base/explain.ts";
import type { Clock } from "../base/clock.ts";
import { type OperatingError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import { runProducer } from "../log/run-producer.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { startLoop } from "./loop.ts";

export interface Production {
  /** Side by side, each with a loop and a durable position of its own. */
  producers: readonly Producer[];
  log: Log;
  topic: string;
  clock: Clock;
  events: {
    reported(report: SourceReport): void;
    appended(records: number): void;
    /** What keeps the source of this name waiting; null when it goes on. */
    stalled(name: string, error: OperatingError | null): void;
  };
}

/** Ends once every source has ended; throws when the log fails, or when no source could go on to its end. */
export async function produce(
  { producers, log, topic, clock, events }: Production,
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
