import type { Clock } from "../base/clock.ts";
import { isDiskFull } from "../base/disk-full.ts";
import { OperatingError } from "../base/errors.ts";
import type { Ingest } from "../ingest/ingest.ts";
import type { Log } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { MAX_CONSECUTIVE_FAILURES, isRetryable, withRetry, pause, retryDelay_ms } from "../base/retry.ts";
import { hasPassed, intervalAfter_ms, intervalForShare_ms, isMuch } from "../base/pacing.ts";
import { startLoop, type Loop } from "./loop.ts";
import { produce } from "./produce.ts";
import type { Transform } from "../transform/transform.ts";
import type { CommandResult } from "../transform/worker.ts";

export interface PipelineRun {
  pipeline: Pipeline;
  /** Side by side, each with a loop and a durable position of its own. */
  producers: readonly Producer[];
  log: Log;
  ingest: Pick<Ingest, "run"> & {
    /** What commits by itself ends with a commit; what waits for others heeds the signal. */
    drain(signal: AbortSignal): Promise<void>;
    /** Bytes of payload in a record, on average; null where another engine ingests. */
    meanRecordBytes(): number | null;
  };
  /** Null where somebody else carries bronze on. */
  transform: Pick<Transform, "catchUp" | "waitingRecords" | "hasBuilt" | "test"> | null;
  /** What follows the log beside the tables; absent where nothing does. */
  following?: Following;
  /** What keeps the tables small beside all that; absent where somebody else does. */
  maintenance?: { run(signal: AbortSignal): Promise<void> };
  clock: Clock;
  /** Aborts for a clean stop: what was made durable stays, what was not is given again by the source at the next start. */
  signal: AbortSignal;
  /** End once the source has ended and gold holds and proves everything; else go on until the signal. */
  is_until_drained: boolean;
  events: RunEvents;
}

type Transforming = PipelineRun & { transform: NonNullable<PipelineRun["transform"]> };

export interface Following {
  /** Follows until the signal aborts; rejects when it cannot go on. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once it has done with all that the log holds. Beside `run`. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface RunEvents {
  reported(report: SourceReport): void;
  appended(records: number): void;
  /** What keeps a source waiting; null when it goes on. */
  stalled(name: string, error: OperatingError | null): void;
  /** Gold holds all that bronze held; how long dbt took for it, in seconds. */
  caughtUp(seconds: number): void;
  tested(result: CommandResult): void;
  /** A retryable failure; the schedule goes on. */
  failed(error: OperatingError): void;
}

/** Somebody waits for the end of a drain: what three attempts within seconds do not mend is theirs to see. */
const MAX_FAILURES_WHILE_DRAINING = 3;
/** An idle schedule looks for new commits at this pace; looking costs one read of the catalog. */
const LOOK_MS = 250;

/**
 * Runs a pipeline: producers fill the log, ingest commits to bronze, dbt carries on to gold and is tested. Loops, each at its own
 * pace, coupled by nothing but durable state; the first that cannot go on ends them all with its error. Of several sources, one
 * that cannot go on is reported, and the others go on.
 */
export async function runPipeline(run: PipelineRun): Promise<void> {
  const producing = startLoop(run.signal, (signal) => produce({ ...run, topic: run.pipeline.topic.name }, signal));
  const ingesting = startLoop(run.signal, (signal) => run.ingest.run(signal));
  const { transform } = run;
  const transforming = startLoop(run.signal, async (signal) => {
    if (transform !== null) await transformOnSchedule({ ...run, transform }, signal);
  });
  const following = startLoop(run.signal, async (signal) => run.following?.run(signal));
  const maintaining = startLoop(run.signal, async (signal) => run.maintenance?.run(signal));
  const loops = [producing, ingesting, transforming, following, maintaining];
  try {
    await Promise.race([producing.end, ...[ingesting, transforming, following, maintaining].map(failureOf)]);
    if (run.is_until_drained && !run.signal.aborted) {
      await ingesting.stop();
      await run.ingest.drain(run.signal);
      await transforming.stop();
      if (transform !== null) await finish({ ...run, transform });
      // A clean stop ends the following, and with it the wait.
      await Promise.race([run.following?.drain(run.signal), following.end]);
    } else await Promise.all(loops.map(({ end }) => end));
  } finally {
    await Promise.allSettled(loops.map((loop) => loop.stop()));
  }
}

/** Brings gold up to date with all that bronze holds, and tests it; a clean stop leaves the rest to the next start. */
async function finish(run: Transforming): Promise<void> {
  const retry = {
    clock: run.clock,
    signal: run.signal,
    max_attempts: MAX_FAILURES_WHILE_DRAINING,
    failed: run.events.failed,
  };
  const effort = await withRetry(retry, () => run.transform.catchUp());
  if (effort === null) return;
  run.events.caughtUp(effort.seconds);
  if (!(await run.transform.hasBuilt())) return;
  const tests = await withRetry(retry, () => run.transform.test());
  if (tests !== null) run.events.tested(tests);
}

/** Rejects when the loop fails; a loop that ends well is nothing to wake up for. */
async function failureOf(loop: Loop): Promise<never> {
  await loop.end;
  return new Promise<never>(() => {});
}

/**
 * Increments when they are due (the first at once), tests at their own interval. Operating errors are reported and tried again: a
 * damaged file of silver or gold must not end ingest, and a person repairs it beside the run. Only a run that is to be drained gives
 * up, for somebody waits for its end.
 */
async function transformOnSchedule(
  { pipeline, ingest, transform, clock, events, is_until_drained }: Transforming,
  signal: AbortSignal,
): Promise<void> {
  const { increment, increment_max_share, test_interval_ms, test_max_share } = pipeline.transform;
  let increments = 0;
  let incremented_us = -Infinity;
  let increment_interval_ms = 0;
  let tested_us = clock.now_us();
  let test_pause_ms = test_interval_ms;
  let failures = 0;
  while (await pause(clock, failures === 0 ? LOOK_MS : retryDelay_ms(failures), signal)) {
    const now_us = clock.now_us();
    try {
      const records = await transform.waitingRecords();
      const is_time = hasPassed(now_us - incremented_us, increment_interval_ms);
      if (
        records > 0 &&
        (is_time || isMuch(increment, { records, size_bytes: records * (ingest.meanRecordBytes() ?? 0) }))
      ) {
        const { seconds, cpu_seconds } = await transform.catchUp();
        events.caughtUp(seconds);
        increments += 1;
        incremented_us = now_us;
        increment_interval_ms = Math.max(
          intervalAfter_ms(increment, increments),
          intervalForShare_ms(cpu_seconds, increment_max_share),
        );
      }
      // Tests of an empty lake fail for want of tables.
      if (hasPassed(now_us - tested_us, test_pause_ms) && (await transform.hasBuilt())) {
        const tests = await transform.test();
        events.tested(tests);
        tested_us = now_us;
        test_pause_ms = Math.max(test_interval_ms, intervalForShare_ms(tests.cpu_seconds, test_max_share));
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const gives_up =
        is_until_drained && (!isRetryable(error) || failures >= MAX_CONSECUTIVE_FAILURES) && !isDiskFull(error);
      if (!(error instanceof OperatingError) || gives_up) throw error;
      events.failed(error);
    }
  }
}
