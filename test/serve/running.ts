import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildDashboard } from "../../dashboard/build.ts";
import { AlertEngine } from "../../src/alert/engine.ts";
import { sqlHistory } from "../../src/alert/history.ts";
import { systemClock } from "../../src/base/clock.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { LiveLake } from "../../src/live/live-lake.ts";
import type { ConsoleLimits } from "../../src/serve/sql-console/console.ts";
import type { Stream } from "../../src/serve/schemas/status.ts";
import type { PipelineHandle } from "../../src/serve/pipeline-handle.ts";
import { Problem } from "../../src/serve/schemas/values.ts";
import { Server, type MountedPipeline } from "../../src/serve/server.ts";
import type { SourceStatus } from "../../src/producer/producer.ts";
import { CACHE_FILE, lastModels, prepareModels, type LiveModels } from "../../src/transform/models.ts";
import type { CommandResult } from "../../src/transform/worker.ts";
import type { TestLake } from "../dbt/lake.ts";
import { keptFolder } from "../support/kept.ts";

export interface RunningOptions {
  host?: string;
  token?: string;
  console_limits?: Partial<ConsoleLimits>;
}

/**
 * A server over a test lake, with a live tail and a running alert engine. Everything is real except the sources, whose
 * status the test sets.
 */
export interface Running {
  server: MountedPipeline;
  url: string;
  live: LiveLake;
  alerts: AlertEngine;
  /** Status of the sources; may be changed. */
  sources: SourceStatus[];
  /** The external process that ingests the log into bronze; may be changed. */
  stream: Stream | null;
  failures: { code: string; message: string }[];
  tests: { ran_at_us: number; result: CommandResult } | null;
  /** Errors that the server reported only on its terminal. */
  errors: unknown[];
  get(path: string, init?: RequestInit): Promise<Response>;
  json<T = unknown>(path: string, init?: RequestInit): Promise<T>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
  /** Resolves when the tail has all records of the log, and the alerts have evaluated them. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export const SIMULATED_SOURCE: SourceStatus = {
  source: "simulated",
  state: "live",
  message: null,
  heard_at_us: null,
  silent_after_ms: 60_000,
  reconnects: 0,
  missed: { open: 0, filled: 0, lost: 0 },
  gaps: [],
};

/** The lake's models; in a lake with tables, and so with seeds, those that a file of this run compiled. */
async function liveModels(lake: TestLake): Promise<LiveModels> {
  const { open, pipeline } = lake;
  const { dbt_folder } = open.lake;
  mkdirSync(dbt_folder, { recursive: true });
  const known = lastModels(dbt_folder);
  if (known !== null) return known;
  const prepareIn = (folder: string, with_seeds: boolean): Promise<LiveModels> =>
    prepareModels({ run: (args) => lake.dbt(...args) }, pipeline.transform.project, folder, { with_seeds });
  if ((await open.catalog.listTables(["silver"])).length === 0) return prepareIn(dbt_folder, true);
  const kept = await keptFolder(
    `live-models-${pipeline.name}`,
    async (folder) => void (await prepareIn(folder, false)),
  );
  cpSync(join(kept, CACHE_FILE), join(dbt_folder, CACHE_FILE));
  return lastModels(dbt_folder) ?? assert.fail("the compiled models can be read");
}

export async function startRunning(lake: TestLake, options: RunningOptions = {}): Promise<Running> {
  const { open, pipeline } = lake;
  const models = await liveModels(lake);
  const live = await LiveLake.open({ open, pipeline, models, clock: systemClock });
  await live.catchUp();
  const history = sqlHistory({ query: (sql) => live.query(sql), pipeline, over: "live" });
  const alerts = await AlertEngine.open({
    folder: open.lake.folder,
    pipeline,
    clock: systemClock,
    source: live,
    history,
    report: () => {},
  });
  const stopping = new AbortController();
  const loops = [live.run(stopping.signal), alerts.run(stopping.signal)];
  const recorded = {
    sources: [SIMULATED_SOURCE],
    stream: null as Running["stream"],
    failures: [] as Running["failures"],
    tests: null as Running["tests"],
    errors: [] as unknown[],
  };
  const handle: PipelineHandle = {
    version: "0.0.0-test",
    open,
    pipeline,
    clock: systemClock,
    started_at_us: systemClock.now_us(),
    is_transforming: true,
    live,
    alerts,
    sources: () => running.sources,
    stream: () => running.stream,
    tests: () => running.tests,
    failures: () => running.failures,
    // Any running process: the lake starts its own dbt only when needed.
    dbt_pid: () => process.pid,
    console: {
      command: process.execPath,
      args: [
        "--disable-warning=ExperimentalWarning",
        join(projectFolder(), "src", "cli", "main.ts"),
        "sql-worker",
        "--data",
        lake.data_folder,
        "--lake",
        open.lake.name,
      ],
    },
  };
  const { host = "127.0.0.1", token, console_limits } = options;
  const server = new Server({ pipelines: [pipeline], port: 0, host, token: token ?? null });
  const mounted = await server.mount({
    handle,
    assets: await buildDashboard(),
    onError: (error) => recorded.errors.push(error),
    ...(console_limits ? { console_limits } : {}),
  });
  const get = (path: string, init?: RequestInit) => fetch(`${mounted.url}${path}`, init);
  const running: Running = {
    ...recorded,
    server: mounted,
    url: mounted.url,
    live,
    alerts,
    get,
    json: async (path, init) => (await get(path, init)).json() as never,
    post: (path, body, init) =>
      get(path, {
        method: "POST",
        body: JSON.stringify(body),
        ...init,
        headers: { "content-type": "application/json", ...(init?.headers as Record<string, string>) },
      }),
    async caughtUp() {
      const bounds = await open.log.bounds(pipeline.topic.name);
      const isThere = () =>
        bounds.every(({ partition, end }) => (live.state().next[`${pipeline.topic.name}/${partition}`] ?? 0) >= end);
      while (!isThere())
        await new Promise<void>((resolve) => {
          const stop = live.onAbsorbed(() => {
            stop();
            resolve();
          });
          if (isThere()) {
            stop();
            resolve();
          }
        });
      await alerts.idle();
    },
    async close() {
      await mounted.close();
      await server.close();
      stopping.abort();
      await Promise.all(loops);
      await alerts.close();
      live.close();
    },
  };
  return running;
}

/** All items of a paged route. */
export async function itemsOf<T>(running: Running, path: string, limit: number): Promise<T[]> {
  const items: T[] = [];
  const separator = path.includes("?") ? "&" : "?";
  for (let cursor: string | null = ""; cursor !== null;) {
    const from: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const page: { items: T[]; next: string | null } = await running.json(`${path}${separator}limit=${limit}${from}`);
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

/** The problem in the response to a request. */
export async function problemOf(running: Running, path: string, init?: RequestInit): Promise<Problem> {
  const response = await running.get(path, init);
  assert.equal(response.headers.get("content-type"), "application/problem+json", path);
  const body = Problem.parse(await response.json());
  assert.equal(body.status, response.status);
  return body;
}
