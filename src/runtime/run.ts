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
  /** They run side by side. Each has its own loop and durable position. */
  producers: readonly Producer[];
  log: Log;
  lake_folder: string;
  ingest: Pick<Ingest, "run"> & {
    /** Ingest in this process ends with a commit; a stream elsewhere is awaited until the signal aborts. */
    drain(signal: AbortSignal): Promise<void>;
    /** Mean payload of a record; null where another engine ingests. */
    meanRecordBytes(): number | null;
  };
  /** Null where an external scheduler runs the transforms. */
  transform: Pick<Transform, "catchUp" | "waitingRecords" | "hasBuilt" | "test"> | null;
  /** Absent where nothing reads the log beside the tables. */
  live_services?: LiveServices;
  /** Compaction and expiry; absent where an external scheduler runs them. */
  maintenance?: { run(signal: AbortSignal): Promise<void> };
  clock: Clock;
  /** Aborts for a clean stop. Durable records stay; at the next start the source sends the others again. */
  signal: AbortSignal;
  /** End when the source ends, gold is complete and every test has run; otherwise run until the signal aborts. */
  is_until_drained: boolean;
  events: RunEvents;
}

type Transforming = PipelineRun & { transform: NonNullable<PipelineRun["transform"]> };

export interface LiveServices {
  /** Runs until the signal aborts. Rejects when a service cannot continue. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once the services have processed all records that the log holds. Call it while `run` runs. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface RunEvents {
  reported(report: SourceReport): void;
  appended(records: number): void;
  /** The error that keeps a source waiting; null when it continues. */
  stalled(name: string, error: OperatingError | null): void;
  /** An increment succeeded: gold holds all rows that bronze held. The duration is dbt's. */
  caughtUp(seconds: number): void;
  tested(result: CommandResult): void;
  /** A retryable failure; the schedule continues. */
  failed(error: OperatingError): void;
}

/** A person waits for the end of a drain, and sees the error after three failed attempts within seconds. */
const MAX_FAILURES_WHILE_DRAINING = 3;
/** Interval at which an idle schedule checks for new commits. A check costs one read of the catalog. */
const POLL_MS = 250;

/**
 * Runs a pipeline: producers append to the log, ingest commits to bronze, dbt builds silver and gold and tests them.
 * Each runs in a loop at its own pace, and only durable state connects the loops. The first loop that cannot continue
 * ends all of them with its error. Where one of several sources cannot continue, it is reported and the others
 * continue.
 */
export async function runPipeline(run: PipelineRun): Promise<void> {
  const producing = startLoop(run.signal, (signal) => produce({ ...run, topic: run.pipeline.topic.name }, signal));
  const ingesting = startLoop(run.signal, (signal) => run.ingest.run(signal));
  const { transform } = run;
  const transforming = startLoop(run.signal, async (signal) => {
    if (transform !== null) await transformOnSchedule({ ...run, transform }, signal);
  });
  const serving = startLoop(run.signal, async (signal) => run.live_services?.run(signal));
  const maintaining = startLoop(run.signal, async (signal) => run.maintenance?.run(signal));
  const loops = [producing, ingesting, transforming, serving, maintaining];
  try {
    await Promise.race([producing.end, ...[ingesting, transforming, serving, maintaining].map(failureOf)]);
    if (run.is_until_drained && !run.signal.aborted) {
      await ingesting.stop();
      await run.ingest.drain(run.signal);
      await transforming.stop();
      if (transform !== null) await finish({ ...run, transform });
      // A clean stop ends the live services, and with them the wait.
      await Promise.race([run.live_services?.drain(run.signal), serving.end]);
    } else await Promise.all(loops.map(({ end }) => end));
  } finally {
    await Promise.allSettled(loops.map((loop) => loop.stop()));
  }
}

/** Builds gold from all rows in bronze and tests it. After a clean stop the next start does the rest. */
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

/** Rejects when the loop fails, and never resolves. */
async function failureOf(loop: Loop): Promise<never> {
  await loop.end;
  return new Promise<never>(() => {});
}

/**
 * Runs increments when they are due (the first at once), and tests at their own interval. Operating errors are reported
 * and retried: a damaged file of silver or gold must not end ingest, and a person repairs it beside the run. Only a run
 * until drained gives up, because a person waits for its end.
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
  while (await pause(clock, failures === 0 ? POLL_MS : retryDelay_ms(failures), signal)) {
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
      // Tests would fail in an empty lake, which has no tables.
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
