import { setImmediate } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import type { Log } from "./log.ts";
import { OperatingError } from "../base/errors.ts";
import { MAX_CONSECUTIVE_FAILURES, withRetry } from "../base/retry.ts";
import type { Batch, Producer, SourceReport } from "../producer/producer.ts";

export interface ProducerRun {
  producer: Producer;
  log: Log;
  /** Must exist. */
  topic: string;
  clock: Clock;
  signal: AbortSignal;
  report(report: SourceReport): void;
  /** Told after each append how many records are newly durable. */
  appended?(records: number): void;
  /** Told why an append waits, at each attempt, and with null when it is durable after all. */
  stalled?(error: OperatingError | null): void;
  /**
   * Told why the source cannot go on, which then ends the run well: others go on beside it. Absent: the run rejects.
   */
  failed?(error: OperatingError): void;
}

/**
 * Pulls batches and makes each durable, with the producer's position, before it pulls the next. Resolves to the number
 * of records appended when the source ends or the signal aborts. A log that is away is waited for with the batch in
 * hand: a source that began anew at its position would leave its sockets, and what it has paid for. Where an append may
 * have come through, it is in the log twice then, as it would be after a new start, and is counted once. Whatever else
 * the log or the producer throws stops the run: a batch that was not appended is not behind the stored position, so the
 * next run gives it again.
 */
export async function runProducer(run: ProducerRun): Promise<{ records: number }> {
  const { producer, log, topic, clock, signal, report, appended, failed, stalled } = run;
  let is_stalled = false;
  const waiting = (error: OperatingError): void => {
    is_stalled = true;
    stalled?.(error);
    report({ level: "warning", code: error.code, message: `${producer.id} waits, and tries again: ${error.message}.` });
  };
  const retry = { clock, signal, max_attempts: MAX_CONSECUTIVE_FAILURES, failed: waiting };
  let records = 0;
  try {
    const position = await withRetry(retry, () => log.position(topic, producer.id));
    if (signal.aborted) return { records };
    for await (const batch of givenBy(producer.batches({ position, clock, signal, report }))) {
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
      // A log that appends synchronously would otherwise never let timers and sockets of this process have their turn.
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

/** What a source throws, so that the log's own failures are not taken for it. */
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
