import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openLake } from "../src/lake/open.ts";
import { QuerySession } from "../src/duckdb/session.ts";
import { findLake, type Lake } from "../src/lake/lake.ts";
import { pythonExecutable } from "../src/lake/tools.ts";
import { openPage, skip as browser_missing, startBrowser } from "../test/browser/browser.ts";
import { lakeFiguresBeside } from "./lake-figures.ts";
import { processTree } from "./process-tree.ts";
import { runCoinlake } from "./process.ts";
import { EventClient, metricOf, startCoinlake, type RunningCoinlake } from "./running.ts";

export interface SoakOptions {
  minutes: number;
  /** Minutes between rows. */
  every: number;
  /** Ends the soak test early; the measurements so far are reported. */
  signal: AbortSignal;
  row(row: SoakRow): void;
}

export interface SoakRow {
  minutes: number;
  /** Mean duration of the increments since the previous row; NaN without one. */
  increment_s: number;
  /** Increments since the start. */
  increments: number;
  /** CPU time since the previous row, as a share of one core. */
  worker_cpu_share: number;
  node_cpu_share: number;
  /** Current memory, MB (10^6 bytes). */
  node_rss_mb: number;
  worker_rss_mb: number;
  tree_rss_mb: number;
  tree_pss_mb: number;
  files: number;
  /** Table files on disk, and those of the current snapshots; MB. */
  table_mb: number;
  live_mb: number;
  snapshots: number;
  metadata_kb: number;
  /** Duration of `ask` as a process. */
  ask_s: number;
  /** Duration of a count of gold.fact_crypto_hourly in a session of another process. */
  count_ms: number;
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
const COUNT_SQL = "select count(*) from gold.fact_crypto_hourly";
const MINUTE_MS = 60_000;

/** Runs Coinlake in real time with two browser tabs, a reader of its events and an external reader of its tables. */
export async function benchSoak({ minutes, every, signal, row }: SoakOptions): Promise<SoakFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const errors: string[] = [];
  const rows: SoakRow[] = [];
  try {
    const coinlake = startCoinlake(folder, ["--source", "simulated"]);
    closers.unshift(() => coinlake.stop());
    const load = new LoadWatch(coinlake.pid);
    closers.unshift(() => load.stop());
    const started_ms = performance.now();
    const url = await coinlake.url;
    const lake = findLake(folder, null);
    const tabs = await openTabs(url, errors);
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
        lake,
        coinlake,
        load,
        errors,
        minutes: (performance.now() - started_ms) / MINUTE_MS,
      });
      rows.push(taken);
      row(taken);
    }
    const verify = await runCoinlake(["verify", "--data", folder]);
    if (verify.code !== 0) errors.push(`verify ended with ${verify.code}: ${verify.stderr.slice(-500)}`);
    const scans = await reader.stop();
    events.close();
    await tabs.close();
    load.stop();
    const [stop_code, stop_s] = await timed(() => coinlake.stop());
    errors.push(...warningsOf(coinlake));
    const restart_ready_s = signal.aborted ? NaN : await restart(folder, closers, errors);
    return {
      rows,
      errors,
      reader_scans: scans,
      events: events.latencies_ms.length,
      tabs: tabs.count,
      verify_code: verify.code,
      verify_s: verify.seconds,
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

/** Opens no tab without a browser. */
async function openTabs(url: string, errors: string[]): Promise<{ count: number; close(): Promise<void> }> {
  if (browser_missing !== false) return { count: 0, close: async () => {} };
  const browser = await startBrowser();
  let is_closing = false;
  const paths = ["/", "/lake"];
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
   * The number of increments so far, and the mean duration of those since the last call, from the process's own
   * metrics.
   */
  increments(metrics: string): Pick<SoakRow, "increment_s" | "increments"> {
    const increments = metricOf(metrics, "coinlake_increment_seconds_count");
    const total_s = metricOf(metrics, "coinlake_increment_seconds_sum");
    const increment_s = (total_s - this.#incremented.total_s) / (increments - this.#incremented.increments);
    this.#incremented = { increments, total_s };
    return { increment_s, increments };
  }

  #incremented = { increments: 0, total_s: 0 };
  #before = { at_ms: performance.now(), node_cpu_s: 0, worker_cpu_s: 0 };

  stop(): void {
    clearInterval(this.#timer);
  }
}

interface Subject {
  url: string;
  folder: string;
  lake: Lake;
  coinlake: RunningCoinlake;
  load: LoadWatch;
  errors: string[];
  minutes: number;
}

async function takeRow({ url, folder, lake, coinlake, load, errors, minutes }: Subject): Promise<SoakRow> {
  // Read before `ask` and the count, which are not part of the load.
  const shares = load.shares();
  const { node_rss_mb, worker_rss_mb, tree_rss_mb, tree_pss_mb } = load.look();
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const count_s = await countIn(lake, errors);
  const answer = await runCoinlake(["ask", "--data", folder]);
  if (answer.code !== 0) errors.push(`ask ended with ${answer.code}: ${answer.stderr.slice(-500)}`);
  const { files, table_bytes, live_bytes, snapshots, metadata_bytes } = await lakeFiguresBeside(lake);
  return {
    minutes,
    ...load.increments(metrics),
    worker_cpu_share: shares.worker,
    node_cpu_share: shares.node,
    node_rss_mb,
    worker_rss_mb,
    tree_rss_mb,
    tree_pss_mb,
    files,
    table_mb: table_bytes / 1e6,
    live_mb: live_bytes / 1e6,
    snapshots,
    metadata_kb: metadata_bytes / 1e3,
    ask_s: answer.seconds,
    count_ms: count_s * 1000,
    conflicts: metricOf(metrics, "coinlake_commit_conflicts_total"),
    errors: errors.length + warningsOf(coinlake).length,
  };
}

/** Runs in this process, which is not measured. */
async function countIn(lake: Lake, errors: string[]): Promise<number> {
  const open = await openLake(lake);
  try {
    const session = await QuerySession.open(open);
    const [, seconds] = await timed(() =>
      session.figure(COUNT_SQL).catch((error: unknown) => errors.push(`count: ${String(error)}`)),
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

async function restart(folder: string, closers: (() => unknown)[], errors: string[]): Promise<number> {
  const coinlake = startCoinlake(folder, ["--source", "simulated"]);
  closers.unshift(() => coinlake.stop());
  const [, seconds] = await timed(async () => {
    const url = await coinlake.url;
    const until_ms = performance.now() + READY_TIMEOUT_MS;
    while (!(await fetch(`${url}/readyz`)).ok) {
      if (performance.now() > until_ms)
        throw new Error(`not ready within ${READY_TIMEOUT_MS / 1000} s after a restart`);
      await wait(100);
    }
  }).catch((error: unknown) => [errors.push(String(error)), NaN] as const);
  return seconds;
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const started_ms = performance.now();
  const result = await work();
  return [result, (performance.now() - started_ms) / 1000];
}

const COLUMNS: readonly (readonly [header: string, of: (row: SoakRow) => string])[] = [
  ["min", ({ minutes }) => minutes.toFixed(0)],
  ["increment (s)", ({ increment_s }) => increment_s.toFixed(1)],
  ["increments", ({ increments }) => String(increments)],
  ["worker (of a core)", ({ worker_cpu_share }) => worker_cpu_share.toFixed(2)],
  ["Node (of a core)", ({ node_cpu_share }) => node_cpu_share.toFixed(2)],
  ["Node RSS (MB)", ({ node_rss_mb }) => node_rss_mb.toFixed(0)],
  ["worker RSS (MB)", ({ worker_rss_mb }) => worker_rss_mb.toFixed(0)],
  ["tree RSS/PSS (MB)", ({ tree_rss_mb, tree_pss_mb }) => `${tree_rss_mb.toFixed(0)}/${tree_pss_mb.toFixed(0)}`],
  ["files", ({ files }) => String(files)],
  ["on disk/live (MB)", ({ table_mb, live_mb }) => `${table_mb.toFixed(1)}/${live_mb.toFixed(1)}`],
  ["snapshots", ({ snapshots }) => String(snapshots)],
  ["ask (s)", ({ ask_s }) => ask_s.toFixed(1)],
  ["count (ms)", ({ count_ms }) => count_ms.toFixed(0)],
  ["conflicts", ({ conflicts }) => String(conflicts)],
  ["errors", ({ errors }) => String(errors)],
];

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
  minutes,
  every,
  out,
}: {
  minutes: number;
  every: number;
  out: string | undefined;
}): Promise<SoakFigures> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    process.stderr.write(`${soakTable([])}\n`);
    const figures = await benchSoak({
      minutes,
      every,
      signal: stopping.signal,
      row: (taken) => void process.stderr.write(`${rowText(taken)}\n`),
    });
    if (out !== undefined) writeFileSync(out, `${JSON.stringify(figures, null, 2)}\n`);
    return figures;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
