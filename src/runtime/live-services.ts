import { join } from "node:path";
import { AlertEngine } from "../alert/engine.ts";
import { sqlHistory } from "../alert/history.ts";
import { systemClock } from "../base/clock.ts";
import type { OperatingError } from "../base/errors.ts";
import { withRetry, type RetryOptions } from "../base/retry.ts";
import type { OpenLake } from "../lake/open.ts";
import { mainScript } from "../lake/tools.ts";
import { VERSION } from "../lake/version.ts";
import { LiveLake } from "../live/live-lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import type { Assets } from "../serve/assets.ts";
import type { Metrics } from "../serve/metrics.ts";
import type { PipelineHandle } from "../serve/pipeline-handle.ts";
import type { Server } from "../serve/server.ts";
import { cachedModels, type LiveModels } from "../transform/models.ts";
import { monitorHealth, sourceStatuses, type HealthMonitorOptions } from "./health-monitor.ts";
import { startLoop } from "./loop.ts";
import type { LiveServices } from "./run.ts";

export interface LiveServicesOptions {
  open: OpenLake;
  pipeline: Pipeline;
  producers: readonly Producer[];
  is_transforming: PipelineHandle["is_transforming"];
  /** Compiles the models for the live tail and caches them. */
  compileModels(): Promise<LiveModels>;
  /** The process's server; null for a run without one. */
  server: Server | null;
  assets(): Promise<Assets>;
  stream: PipelineHandle["stream"];
  is_until_drained: boolean;
  tests: PipelineHandle["tests"];
  failures: PipelineHandle["failures"];
  dbt_pid: PipelineHandle["dbt_pid"];
  /** Metrics of the pipeline's loops, which the server shows. */
  metrics: Metrics;
  report(report: SourceReport): void;
  /** A failure of a part, which is retried. */
  failed(part: LivePart, error: OperatingError): void;
  /** The part that failed works again. */
  recovered(part: LivePart): void;
  /** Called once, when the server listens. */
  serving(url: string): void;
  onError(error: unknown): void;
}

export type LivePart = "live services" | "live views" | "health monitor";

interface Started {
  live: LiveLake;
  alerts: AlertEngine;
}

/**
 * Consecutive failures after which the start of a live service is given up, such as a dbt that dies while it compiles.
 */
const MAX_START_FAILURES = 8;

/**
 * The services that read the log beside the tables: the live tail, the alerts on the ticks that it accepts, and the
 * server that shows both. `run` starts them together once the live models are compiled (at once where they are cached),
 * and stops them together.
 */
export function createLiveServices(options: LiveServicesOptions): LiveServices {
  const ready = Promise.withResolvers<Started | null>();
  // A caller of `drain` sees the error; without one the rejection must not count as unhandled.
  ready.promise.catch(() => {});
  return {
    async run(signal) {
      let is_started = false;
      try {
        await startLiveServices(options, signal, (started) => {
          is_started = true;
          ready.resolve(started);
        });
        ready.resolve(null);
      } catch (error) {
        ready.reject(error);
        // A stop before the services had started is no failure.
        if (is_started || !signal.aborted) throw error;
      }
    },
    async drain(signal) {
      const started = await ready.promise;
      // Stopped before they had started.
      if (started === null) return;
      const { live, alerts } = started;
      const topic = options.pipeline.topic.name;
      const bounds = await options.open.log.bounds(topic);
      await live.until(Object.fromEntries(bounds.map(({ partition, end }) => [`${topic}/${partition}`, end])), signal);
      if (!signal.aborted) await alerts.idle();
    },
  };
}

/** Starts the services and runs them until the signal aborts or one fails. */
async function startLiveServices(
  options: LiveServicesOptions,
  signal: AbortSignal,
  onStarted: (started: Started) => void,
): Promise<void> {
  const { open, pipeline, server } = options;
  const { project } = pipeline.transform;
  let has_failed = false;
  const failed = (error: OperatingError): void => {
    has_failed = true;
    options.failed("live services", error);
  };
  const retry = { clock: systemClock, signal, max_attempts: MAX_START_FAILURES, failed };
  // The dashboard is bundled while dbt compiles.
  const bundling = server === null ? null : options.assets();
  bundling?.catch(() => {});
  const models = cachedModels(project, open.lake.dbt_folder) ?? (await withRetry(retry, () => options.compileModels()));
  if (models === null) return;
  // A damaged table only delays the live views until somebody repairs it beside the run. A run until drained fails
  // instead.
  const opening: RetryOptions = options.is_until_drained
    ? retry
    : { ...retry, max_attempts: Infinity, isRetryable: () => true };
  const views = {
    failed: (error: OperatingError) => options.failed("live views", error),
    recovered: () => options.recovered("live views"),
  };
  const live = await withRetry(opening, () => LiveLake.open({ open, pipeline, models, clock: systemClock, ...views }));
  if (live === null) return;
  try {
    const alerts = await withRetry(opening, () => openAlerts(options, live, opening.max_attempts));
    if (alerts === null) return;
    if (has_failed) options.recovered("live services");
    try {
      // Stopped while it opened: an address announced now would not answer for long.
      if (signal.aborted) return;
      await runStarted({ ...options, assets: () => bundling ?? options.assets() }, { live, alerts }, signal, onStarted);
    } finally {
      await alerts.close();
    }
  } finally {
    live.close();
  }
}

function openAlerts(
  { open, pipeline, report }: LiveServicesOptions,
  live: LiveLake,
  max_failures: number,
): Promise<AlertEngine> {
  return AlertEngine.open({
    folder: open.lake.folder,
    pipeline,
    clock: systemClock,
    source: live,
    history: sqlHistory({ query: (sql) => live.query(sql), pipeline, over: "live" }),
    report,
    max_failures,
  });
}

async function runStarted(
  options: LiveServicesOptions,
  started: Started,
  signal: AbortSignal,
  onStarted: (started: Started) => void,
): Promise<void> {
  const { live, alerts } = started;
  const running = options.server === null ? null : await serve(options, options.server, started);
  onStarted(started);
  try {
    await runTogether(signal, [
      (own) => live.run(own),
      (own) => alerts.run(own),
      (own) => monitorHealth(monitorOptions(options), live, alerts, own),
    ]);
  } finally {
    await running?.close();
  }
}

function monitorOptions(options: LiveServicesOptions): HealthMonitorOptions {
  return {
    ...options,
    failed: (error) => options.failed("health monitor", error),
    recovered: () => options.recovered("health monitor"),
  };
}

async function serve(
  options: LiveServicesOptions,
  server: Server,
  { live, alerts }: Started,
): Promise<{ close(): Promise<void> }> {
  const { open, pipeline, producers, is_transforming, stream, tests, failures, dbt_pid, metrics, onError } = options;
  const handle: PipelineHandle = {
    version: VERSION,
    open,
    pipeline,
    clock: systemClock,
    started_at_us: systemClock.now_us(),
    is_transforming,
    live,
    alerts,
    sources: () => sourceStatuses(producers),
    stream,
    tests,
    failures,
    dbt_pid,
    console: sqlWorkerCommand(open),
  };
  const running = await server.mount({ handle, assets: await options.assets(), onError, metrics });
  options.serving(running.url);
  return running;
}

/** The command of the process that runs typed SQL. */
function sqlWorkerCommand({ lake }: OpenLake): PipelineHandle["console"] {
  const lake_options = ["--data", join(lake.folder, ".."), "--lake", lake.name];
  return {
    command: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", mainScript(), "sql-worker", ...lake_options],
  };
}

/** Runs the loops side by side until the signal aborts. The first failure stops the others. */
async function runTogether(
  signal: AbortSignal,
  works: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const loops = works.map((work) => startLoop(signal, work));
  try {
    await Promise.all(loops.map(({ end }) => end));
  } finally {
    await Promise.allSettled(loops.map((loop) => loop.stop()));
  }
}
