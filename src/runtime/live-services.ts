import { join } from "node:path";
import { AlertEngine } from "../alert/engine.ts";
import { sqlHistory } from "../alert/history.ts";
import { systemClock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { OperatingError } from "../base/errors.ts";
import { projectFolder } from "../lake/tools.ts";
import { LiveLake } from "../live/live-lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { freshness, RecordTimes } from "../query/freshness.ts";
import { TableReports } from "../query/tables.ts";
import { patiently, pause, type Patience } from "../base/retry.ts";
import type { Following } from "./run.ts";
import type { Assets } from "../serve/assets.ts";
import type { PipelineHandle } from "../serve/pipeline-handle.ts";
import type { Metrics } from "../serve/metrics.ts";
import { startServer } from "../serve/server.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { cachedModels, type LiveModels } from "../transform/models.ts";
import { VERSION } from "../lake/version.ts";

export interface ServerRequest {
  port: number;
  host: string;
  /** Null for none: then only loopback is served. */
  token: string | null;
}

export interface FollowingOptions {
  open: OpenLake;
  pipeline: Pipeline;
  producers: readonly Producer[];
  is_transforming: PipelineHandle["is_transforming"];
  /** Compiles the models for the live tail, and keeps them. */
  prepare(): Promise<LiveModels>;
  /** Null for a run that nobody looks at. */
  server: ServerRequest | null;
  assets(): Promise<Assets>;
  stream: PipelineHandle["stream"];
  /** Somebody waits for the end of the run. */
  is_until_drained: boolean;
  tests: PipelineHandle["tests"];
  failures: PipelineHandle["failures"];
  dbt_pid: PipelineHandle["dbt_pid"];
  /** What the pipeline's loops count, for the server to show. */
  metrics: Metrics;
  report(report: SourceReport): void;
  failed(error: OperatingError): void;
  /** Told where the page is, once it is there. */
  serving(url: string): void;
  onError(error: unknown): void;
}

/** How often rules about silence and lag are judged. */
const LOOK_MS = 1_000;
/** A dbt that dies while it compiles is started again, so often in a row. */
const MOST_FAILURES = 8;

/**
 * What follows the log beside the tables: the live tail, the alerts that judge what it accepts, and the server that shows both.
 * They start together, once dbt has compiled the models (at once where it had before), and stop together.
 */
export function followLog(options: FollowingOptions): Following {
  const ready = Promise.withResolvers<{ live: LiveLake; alerts: AlertEngine } | null>();
  // Whoever awaits it sees its error; a run that is never drained does not.
  ready.promise.catch(() => {});
  return {
    async run(signal) {
      let is_started = false;
      try {
        await follow(options, signal, (parts) => {
          is_started = true;
          ready.resolve(parts);
        });
        ready.resolve(null);
      } catch (error) {
        ready.reject(error);
        // What was told to stop before it had started has not failed.
        if (is_started || !signal.aborted) throw error;
      }
    },
    async drain(signal) {
      const parts = await ready.promise;
      // Stopped before it had started.
      if (parts === null) return;
      const { live, alerts } = parts;
      const topic = options.pipeline.topic.name;
      const bounds = await options.open.log.bounds(topic);
      await live.until(Object.fromEntries(bounds.map(({ partition, end }) => [`${topic}/${partition}`, end])), signal);
      if (!signal.aborted) await alerts.idle();
    },
  };
}

type Started = (parts: { live: LiveLake; alerts: AlertEngine }) => void;

async function follow(options: FollowingOptions, signal: AbortSignal, started: Started): Promise<void> {
  const { open, pipeline, prepare, server, report, failed } = options;
  const { project } = pipeline.transform;
  const patience = { clock: systemClock, signal, most_failures: MOST_FAILURES, failed };
  // Bundled while dbt compiles.
  const building = server === null ? null : options.assets();
  building?.catch(() => {});
  const models = cachedModels(project, open.lake.dbt_folder) ?? (await patiently(patience, prepare));
  if (models === null) return;
  // A damaged table keeps the live views away, and nothing else: it is repaired beside the run. A run that waits for a drain fails instead.
  const opening: Patience = options.is_until_drained
    ? patience
    : { ...patience, most_failures: Infinity, mayMend: () => true };
  const live = await patiently(opening, () => LiveLake.open({ open, pipeline, models, clock: systemClock, failed }));
  if (live === null) return;
  try {
    const history = sqlHistory({ query: (sql) => live.query(sql), pipeline, over: "live" });
    const { most_failures: max_failures } = opening;
    const alerting = {
      folder: open.lake.folder,
      pipeline,
      clock: systemClock,
      source: live,
      history,
      report,
      max_failures,
    };
    const alerts = await patiently(opening, () => AlertEngine.open(alerting));
    if (alerts === null) return;
    try {
      const running =
        server === null
          ? null
          : await serve({ ...options, assets: () => building ?? options.assets() }, server, live, alerts);
      started({ live, alerts });
      try {
        await together(signal, [
          (own) => live.run(own),
          (own) => alerts.run(own),
          (own) => lookAfter(options, live, alerts, own),
        ]);
      } finally {
        await running?.close();
      }
    } finally {
      await alerts.close();
    }
  } finally {
    live.close();
  }
}

async function serve(
  options: FollowingOptions,
  { port, host, token }: ServerRequest,
  live: LiveLake,
  alerts: AlertEngine,
): Promise<{ close(): Promise<void> }> {
  const {
    open,
    pipeline,
    producers,
    is_transforming,
    assets,
    stream,
    tests,
    failures,
    dbt_pid,
    metrics,
    serving,
    onError,
  } = options;
  const main = join(projectFolder(), "src", "cli", "main.ts");
  const data_folder = join(open.lake.folder, "..");
  const served: PipelineHandle = {
    version: VERSION,
    open,
    pipeline,
    clock: systemClock,
    started_at_us: systemClock.now_us(),
    is_transforming,
    live,
    alerts,
    sources: () => statusesOf(producers),
    stream,
    tests,
    failures,
    dbt_pid,
    console: {
      command: process.execPath,
      args: [
        "--disable-warning=ExperimentalWarning",
        main,
        "sql-worker",
        "--data",
        data_folder,
        "--lake",
        open.lake.name,
      ],
    },
  };
  const running = await startServer({ served, assets: await assets(), port, host, token, onError, metrics });
  serving(running.url);
  return running;
}

/** Tells the alerts, about once a second, how sources and layers are doing. */
async function lookAfter(
  { open, pipeline, producers, failed }: FollowingOptions,
  live: LiveLake,
  alerts: AlertEngine,
  signal: AbortSignal,
): Promise<void> {
  const topic = pipeline.topic.name;
  const tables = new TableReports(open);
  const times = new RecordTimes(open.log, topic);
  const look = async () => {
    const request = {
      log: open.log,
      topic,
      tables: await tables.all(),
      live: live.state().next,
      now_us: systemClock.now_us(),
      is_replay: open.lake.kind === "replay",
    };
    alerts.look({ sources: statusesOf(producers), layers: await freshness(request, times) });
  };
  let reported = "";
  do {
    try {
      await look();
      reported = "";
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      // The next look is a second away, and most likely fails alike.
      if (error.message !== reported) failed(error);
      reported = error.message;
    }
  } while (await pause(systemClock, LOOK_MS, signal));
}

function statusesOf(producers: readonly Producer[]): ReturnType<PipelineHandle["sources"]> {
  return producers.flatMap((producer) => producer.status?.() ?? []);
}

/** Side by side until the signal aborts; the first that fails ends the others. */
async function together(
  signal: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const own = new AbortController();
  const both = AbortSignal.any([signal, own.signal]);
  const running = loops.map((loop) => loop(both));
  try {
    await Promise.all(running);
  } finally {
    own.abort();
    await Promise.allSettled(running);
  }
}
