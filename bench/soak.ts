import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openLake } from "../src/lake/open.ts";
import { QuerySession } from "../src/duckdb/session.ts";
import { findLake, listLakes, type Lake } from "../src/lake/lake.ts";
import { pythonExecutable } from "../src/lake/tools.ts";
import { openPage, skip as browser_missing, startBrowser } from "../test/browser/browser.ts";
import { lakeFiguresBeside } from "./lake-figures.ts";
import { processTree } from "./process-tree.ts";
import { runCoinlake } from "./process.ts";
import { EventClient, metricOf, startCoinlake, type RunningCoinlake } from "./running.ts";

export interface SoakOptions {
  /** Names of the pipelines, the first of which serves the page at "/". */
  pipelines: readonly string[];
  minutes: number;
  /** Minutes between rows. */
  every: number;
  /** Ends the soak test early; the measurements so far are reported. */
  signal: AbortSignal;
  row(row: SoakRow): void;
}

/** The figures of one pipeline's lake. */
export interface SoakedLake {
  /** Mean duration of the increments since the previous row; NaN without one. */
  increment_s: number;
  /** Increments since the start. */
  increments: number;
  files: number;
  /** Table files on disk, and those of the current snapshots; MB. */
  table_mb: number;
  live_mb: number;
  snapshots: number;
  /** Duration of `ask` as a process. */
  ask_s: number;
  /** Duration of a count of a gold table in a session of another process. */
  count_ms: number;
}

export interface SoakRow {
  minutes: number;
  /** CPU time since the previous row, as a share of one core. */
  worker_cpu_share: number;
  node_cpu_share: number;
  /** Current memory, MB (10^6 bytes). */
  node_rss_mb: number;
  worker_rss_mb: number;
  tree_rss_mb: number;
  tree_pss_mb: number;
  /** In the order of the pipelines. */
  lakes: SoakedLake[];
  conflicts: number;
  /** Total so far: errors of the pages, the event stream and the external reader, and warnings of the process. */
  errors: number;
}

export interface SoakFigures {
  rows: SoakRow[];
  errors: string[];
  reader_scans: number;
  events: number;
  tabs: number;
  /** The first exit code of `verify` that is not 0. */
  verify_code: number | null;
  verify_s: number;
  stop_code: number | null;
  stop_s: number;
  /** Time from a restart on the same lake until /readyz succeeds. */
  restart_ready_s: number;
}

const READER_INTERVAL_S = 30;
/** Short, so that little CPU time is lost when a worker is replaced. */
const SAMPLE_INTERVAL_MS = 1_000;
const READY_TIMEOUT_MS = 180_000;
/** A gold table of each pipeline, which is counted. */
const COUNTED: Readonly<Record<string, string>> = {
  crypto: "gold.fact_crypto_hourly",
  ecommerce: "gold.sales_per_minute",
};
const MINUTE_MS = 60_000;

/** Runs Coinlake in real time with two browser tabs, a reader of its events and an external reader of its tables. */
export async function benchSoak({ pipelines, minutes, every, signal, row }: SoakOptions): Promise<SoakFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const errors: string[] = [];
  const rows: SoakRow[] = [];
  try {
    const coinlake = startCoinlake(folder, startOf(pipelines));
    closers.unshift(() => coinlake.stop());
    const load = new LoadWatch(coinlake.pid);
    closers.unshift(() => load.stop());
    const started_ms = performance.now();
    // Any pipeline may be the first to announce its page.
    const url = new URL(await coinlake.url).origin;
    await untilReady(url);
    const lakes = pipelines.map((pipeline) => lakeOf(folder, pipeline));
    const tabs = await openTabs(url, pipelines.length === 1 ? ["/", "/lake"] : ["/", `/${pipelines.at(-1)}`], errors);
    closers.unshift(() => tabs.close());
    const events = new EventClient(`${url}/api/events`);
    closers.unshift(() => events.close());
    events.end.catch((error: unknown) => errors.push(`events: ${String(error)}`));
    const reader = startReader(catalogUrl(coinlake), errors);
    closers.unshift(() => reader.stop());
    for (let next = every; next <= minutes && !signal.aborted; next += every) {
      await wait(Math.max(0, started_ms + next * MINUTE_MS - performance.now()), undefined, { signal }).catch(() => {});
      const taken = await takeRow({
        url,
        folder,
        pipelines,
        lakes,
        coinlake,
        load,
        errors,
        minutes: (performance.now() - started_ms) / MINUTE_MS,
      });
      rows.push(taken);
      row(taken);
    }
    const verified = { code: 0 as number | null, seconds: 0 };
    for (const { name } of lakes) {
      const { code, seconds, stderr } = await runCoinlake(["verify", "--data", folder, "--lake", name]);
      if (code !== 0) errors.push(`verify of ${name} ended with ${code}: ${stderr.slice(-500)}`);
      if (verified.code === 0) verified.code = code;
      verified.seconds += seconds;
    }
    const scans = await reader.stop();
    events.close();
    await tabs.close();
    load.stop();
    const [stop_code, stop_s] = await timed(() => coinlake.stop());
    errors.push(...warningsOf(coinlake));
    const restart_ready_s = signal.aborted ? NaN : await restart(folder, pipelines, closers, errors);
    return {
      rows,
      errors,
      reader_scans: scans,
      events: events.latencies_ms.length,
      tabs: tabs.count,
      verify_code: verified.code,
      verify_s: verified.seconds,
      stop_code,
      stop_s,
      restart_ready_s,
    };
  } finally {
    // Closes the newest first; a failure does not prevent the others.
    for (const close of closers)
      await Promise.resolve()
        .then(close)
        .catch((error: unknown) => process.stderr.write(`clean-up: ${String(error)}\n`));
  }
}

function startOf(pipelines: readonly string[]): string[] {
  return ["--pipeline", pipelines.join(","), "--source", "simulated"];
}

function lakeOf(folder: string, pipeline: string): Lake {
  const found = listLakes(folder)
    .map((name) => findLake(folder, name))
    .find((lake) => lake.pipeline === pipeline);
  if (found === undefined) throw new Error(`${folder} has no lake of ${pipeline}`);
  return found;
}

/** Opens no tab without a browser. */
async function openTabs(
  url: string,
  paths: readonly string[],
  errors: string[],
): Promise<{ count: number; close(): Promise<void> }> {
  if (browser_missing !== false) return { count: 0, close: async () => {} };
  const browser = await startBrowser();
  let is_closing = false;
  for (const path of paths) {
    const { problems } = await openPage(browser, `${url}${path}`);
    // The list grows while the page is open.
    problems.push = (...found) => (is_closing ? 0 : errors.push(...found.map((problem) => `${path}: ${problem}`)));
  }
  return {
    count: paths.length,
    async close() {
      is_closing = true;
      await browser.close();
    },
  };
}

function catalogUrl(coinlake: RunningCoinlake): string {
  return /Iceberg catalog\s+(http:\/\/\S+)/.exec(coinlake.stderr())?.[1] ?? "";
}

/** `stop` resolves to the number of scans. */
function startReader(catalog_url: string, errors: string[]): { stop(): Promise<number> } {
  const script = fileURLToPath(new URL("gold_reader.py", import.meta.url));
  const child: ChildProcess = spawn(pythonExecutable(), [script, catalog_url, String(READER_INTERVAL_S)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  let scans = 0;
  let stderr = "";
  let is_stopping = false;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-1000)));
  if (child.stdout) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { table, error } = JSON.parse(line) as { table: string; error?: string };
      scans += 1;
      if (error !== undefined && !is_stopping) errors.push(`PyIceberg, ${table}: ${error}`);
    });
  }
  const exited = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  child.once("close", () => {
    process.removeListener("exit", kill);
    if (!is_stopping) errors.push(`the PyIceberg reader ended: ${stderr}`);
  });
  return {
    async stop() {
      is_stopping = true;
      child.stdin?.end();
      await exited;
      return scans;
    },
  };
}

/** CPU time and memory of the process and its dbt worker, which is replaced from time to time. */
class LoadWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  /** CPU seconds by process, including ended processes. */
  readonly #worker_cpu = new Map<number, number>();

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.look(), SAMPLE_INTERVAL_MS);
  }

  look(): {
    node_cpu_s: number;
    worker_cpu_s: number;
    node_rss_mb: number;
    worker_rss_mb: number;
    tree_rss_mb: number;
    tree_pss_mb: number;
  } {
    const tree = processTree(this.#pid);
    const workers = tree.filter(({ command }) => command.includes("worker.py"));
    for (const { pid, cpu_seconds } of workers) this.#worker_cpu.set(pid, cpu_seconds);
    const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
    return {
      node_cpu_s: tree[0]?.cpu_seconds ?? NaN,
      worker_cpu_s: sum(this.#worker_cpu.values()),
      node_rss_mb: (tree[0]?.rss_bytes ?? NaN) / 1e6,
      worker_rss_mb: sum(workers.map(({ rss_bytes }) => rss_bytes)) / 1e6,
      tree_rss_mb: sum(tree.map(({ rss_bytes }) => rss_bytes)) / 1e6,
      tree_pss_mb: sum(tree.map(({ pss_bytes }) => pss_bytes)) / 1e6,
    };
  }

  /** CPU time since the last call, as shares of one core. */
  shares(): { node: number; worker: number } {
    const { node_cpu_s, worker_cpu_s } = this.look();
    const at_ms = performance.now();
    const seconds = (at_ms - this.#before.at_ms) / 1000;
    const shares = {
      node: (node_cpu_s - this.#before.node_cpu_s) / seconds,
      worker: (worker_cpu_s - this.#before.worker_cpu_s) / seconds,
    };
    this.#before = { at_ms, node_cpu_s, worker_cpu_s };
    return shares;
  }

  /**
   * The number of increments of a pipeline so far, and the mean duration of those since the last call, from the
   * process's own metrics. `pipeline` is null where the process has one, whose series have no label.
   */
  increments(metrics: string, pipeline: string | null): Pick<SoakedLake, "increment_s" | "increments"> {
    const labels: Readonly<Record<string, string>> = pipeline === null ? {} : { pipeline };
    const increments = metricOf(metrics, "coinlake_increment_seconds_count", labels);
    const total_s = metricOf(metrics, "coinlake_increment_seconds_sum", labels);
    const before = this.#incremented.get(pipeline) ?? { increments: 0, total_s: 0 };
    this.#incremented.set(pipeline, { increments, total_s });
    return { increment_s: (total_s - before.total_s) / (increments - before.increments), increments };
  }

  readonly #incremented = new Map<string | null, { increments: number; total_s: number }>();
  #before = { at_ms: performance.now(), node_cpu_s: 0, worker_cpu_s: 0 };

  stop(): void {
    clearInterval(this.#timer);
  }
}

interface Subject {
  url: string;
  folder: string;
  pipelines: readonly string[];
  lakes: readonly Lake[];
  coinlake: RunningCoinlake;
  load: LoadWatch;
  errors: string[];
  minutes: number;
}

async function takeRow(subject: Subject): Promise<SoakRow> {
  const { url, coinlake, load, errors, minutes, lakes } = subject;
  // Read before `ask` and the counts, which are not part of the load.
  const shares = load.shares();
  const { node_rss_mb, worker_rss_mb, tree_rss_mb, tree_pss_mb } = load.look();
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const taken: SoakedLake[] = [];
  for (const lake of lakes) taken.push(await takeLake(lake, metrics, subject));
  return {
    minutes,
    worker_cpu_share: shares.worker,
    node_cpu_share: shares.node,
    node_rss_mb,
    worker_rss_mb,
    tree_rss_mb,
    tree_pss_mb,
    lakes: taken,
    conflicts: metricOf(metrics, "coinlake_commit_conflicts_total"),
    errors: errors.length + warningsOf(coinlake).length,
  };
}

async function takeLake(
  lake: Lake,
  metrics: string,
  { folder, pipelines, load, errors }: Subject,
): Promise<SoakedLake> {
  const count_s = await countIn(lake, errors);
  const answer = await runCoinlake(["ask", "--data", folder, "--lake", lake.name]);
  if (answer.code !== 0) errors.push(`ask of ${lake.name} ended with ${answer.code}: ${answer.stderr.slice(-500)}`);
  const { files, table_bytes, live_bytes, snapshots } = await lakeFiguresBeside(lake);
  return {
    ...load.increments(metrics, pipelines.length === 1 ? null : lake.pipeline),
    files,
    table_mb: table_bytes / 1e6,
    live_mb: live_bytes / 1e6,
    snapshots,
    ask_s: answer.seconds,
    count_ms: count_s * 1000,
  };
}

/** Runs in this process, which is not measured. */
async function countIn(lake: Lake, errors: string[]): Promise<number> {
  const open = await openLake(lake);
  try {
    const session = await QuerySession.open(open);
    const [, seconds] = await timed(() =>
      session
        .figure(`select count(*) from ${COUNTED[lake.pipeline]}`)
        .catch((error: unknown) => errors.push(`count: ${String(error)}`)),
    );
    session.close();
    return seconds;
  } finally {
    await open.close();
  }
}

function warningsOf(coinlake: RunningCoinlake): string[] {
  return coinlake
    .stderr()
    .split("\n")
    .filter((line) => /\b(warning|error|failed)\b/i.test(line));
}

async function restart(
  folder: string,
  pipelines: readonly string[],
  closers: (() => unknown)[],
  errors: string[],
): Promise<number> {
  const coinlake = startCoinlake(folder, startOf(pipelines));
  closers.unshift(() => coinlake.stop());
  const [, seconds] = await timed(async () => {
    await untilReady(new URL(await coinlake.url).origin);
  }).catch((error: unknown) => [errors.push(String(error)), NaN] as const);
  return seconds;
}

async function untilReady(url: string): Promise<void> {
  const until_ms = performance.now() + READY_TIMEOUT_MS;
  while (!(await fetch(`${url}/readyz`)).ok) {
    if (performance.now() > until_ms) throw new Error(`not ready within ${READY_TIMEOUT_MS / 1000} s`);
    await wait(100);
  }
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const started_ms = performance.now();
  const result = await work();
  return [result, (performance.now() - started_ms) / 1000];
}

const COLUMNS: readonly (readonly [header: string, of: (row: SoakRow) => string])[] = [
  ["min", ({ minutes }) => minutes.toFixed(0)],
  ["increment (s)", eachLake(({ increment_s }) => increment_s.toFixed(1))],
  ["increments", eachLake(({ increments }) => String(increments))],
  ["worker (of a core)", ({ worker_cpu_share }) => worker_cpu_share.toFixed(2)],
  ["Node (of a core)", ({ node_cpu_share }) => node_cpu_share.toFixed(2)],
  ["Node RSS (MB)", ({ node_rss_mb }) => node_rss_mb.toFixed(0)],
  ["worker RSS (MB)", ({ worker_rss_mb }) => worker_rss_mb.toFixed(0)],
  ["tree RSS/PSS (MB)", ({ tree_rss_mb, tree_pss_mb }) => `${tree_rss_mb.toFixed(0)}/${tree_pss_mb.toFixed(0)}`],
  ["files", eachLake(({ files }) => String(files))],
  ["on disk/live (MB)", eachLake(({ table_mb, live_mb }) => `${table_mb.toFixed(1)}/${live_mb.toFixed(1)}`)],
  ["snapshots", eachLake(({ snapshots }) => String(snapshots))],
  ["ask (s)", eachLake(({ ask_s }) => ask_s.toFixed(1))],
  ["count (ms)", eachLake(({ count_ms }) => count_ms.toFixed(0))],
  ["conflicts", ({ conflicts }) => String(conflicts)],
  ["errors", ({ errors }) => String(errors)],
];

function eachLake(of: (lake: SoakedLake) => string): (row: SoakRow) => string {
  return ({ lakes }) => lakes.map(of).join(" + ");
}

export function rowText(row: SoakRow): string {
  return `| ${COLUMNS.map(([, of]) => of(row)).join(" | ")} |`;
}

export function soakTable(rows: readonly SoakRow[]): string {
  return [
    `| ${COLUMNS.map(([header]) => header).join(" | ")} |`,
    `|${" ---: |".repeat(COLUMNS.length)}`,
    ...rows.map(rowText),
  ].join("\n");
}

/**
 * Runs until the time is over or the process receives SIGINT or SIGTERM, then cleans up; prints each row when it is
 * measured.
 */
export async function soak({
  out,
  ...options
}: Pick<SoakOptions, "pipelines" | "minutes" | "every"> & { out: string | undefined }): Promise<SoakFigures> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    process.stderr.write(`${soakTable([])}\n`);
    const figures = await benchSoak({
      ...options,
      signal: stopping.signal,
      row: (taken) => void process.stderr.write(`${rowText(taken)}\n`),
    });
    if (out !== undefined) writeFileSync(out, `${JSON.stringify(figures, null, 2)}\n`);
    return figures;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
