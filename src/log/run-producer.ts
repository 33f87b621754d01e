import { setImmediate } from "node:timers/promises";
import { sentence } from "../base/explain.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "./log.ts";
import { OperatingError } from "../base/errors.ts";
import { MAX_CONSECUTIVE_FAILURES, withRetry } from "../base/retry.ts";
import { producerFolder } from "../producer/folder.ts";
import type { Batch, Producer, SourceReport } from "../producer/producer.ts";

export interface ProducerRun {
  producer: Producer;
  log: Log;
  /** An existing topic. */
  topic: string;
  /** The lake's folder, which holds the folders of the producers. */
  lake_folder: string;
  clock: Clock;
  signal: AbortSignal;
  report(report: SourceReport): void;
  /** Called after each append with its number of records. */
  appended?(records: number): void;
  /** Called with the error of each failed append, and with null after the next success. */
  stalled?(error: OperatingError | null): void;
  /**
   * Called with the error that stops the source; the run then resolves. Without it, the run rejects.
   */
  failed?(error: OperatingError): void;
}

/**
 * Pulls batches, and makes each batch durable with the producer's position before it pulls the next. Resolves to the
 * number of appended records when the source ends or the signal aborts. While the log is unreachable, the append of the
 * current batch is retried: restarting the source at its position would close its sockets and lose results that it has
 * paid for. An append of unknown outcome can then store its batch twice, as a restart would, and the duplicates count
 * once. Every other error of the log or the producer stops the run: the stored position does not include a batch that
 * was not appended, so the next run yields it again.
 */
export async function runProducer(run: ProducerRun): Promise<{ records: number }> {
  const { producer, log, topic, lake_folder, clock, signal, report, appended, failed, stalled } = run;
  let is_stalled = false;
  const waiting = (error: OperatingError): void => {
    is_stalled = true;
    stalled?.(error);
    report({
      level: "warning",
      code: error.code,
      message: `${producer.id} waits, and tries again: ${sentence(error.message)}`,
    });
  };
  const retry = { clock, signal, max_attempts: MAX_CONSECUTIVE_FAILURES, failed: waiting };
  let records = 0;
  try {
    const position = await withRetry(retry, () => log.position(topic, producer.id));
    if (signal.aborted) return { records };
    const folder = producerFolder(lake_folder, producer.id);
    for await (const batch of givenBy(producer.batches({ position, clock, signal, folder, report }))) {
      if (batch.records.length > 0) {
        const checkpoint =
          batch.position === undefined ? undefined : { producer: producer.id, position: batch.position };
        if ((await withRetry(retry, () => log.append(topic, batch.records, checkpoint))) === null) break;
        if (is_stalled) stalled?.(null);
        is_stalled = false;
        records += batch.records.length;
        appended?.(batch.records.length);
      }
      if (signal.aborted) break;
      // Lets timers and sockets of this process run, also with a log that appends synchronously.
      await setImmediate();
    }
  } catch (error) {
    if (error instanceof SourceFailure) {
      if (!isAbort(error.reason, signal)) {
        if (failed === undefined || !(error.reason instanceof OperatingError)) throw error.reason;
        failed(error.reason);
      }
    } else if (!isAbort(error, signal)) throw error;
  }
  return { records };
}

/** Marks an error as the source's, to distinguish it from an error of the log. */
class SourceFailure {
  readonly reason: unknown;

  constructor(reason: unknown) {
    this.reason = reason;
  }
}

async function* givenBy(batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  try {
    yield* batches;
  } catch (error) {
    throw new SourceFailure(error);
  }
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || (error instanceof Error && error.name === "AbortError"));
}
