import Table from "cli-table3";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { version as duckdbVersion } from "@duckdb/node-api";
import { openLake } from "../src/engine/open.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { pythonExecutable } from "../src/lake/tools.ts";
import { marketData } from "../test/market-data.ts";
import { runCoinlake } from "./process.ts";

/**
 * The benchmarks, with their targets and, where there is one, a peer on the same work in the same run.
 *   npm run -s bench [-- ingest|replay|increment|live|answers|pages ...] [--json]
 *   npm run -s bench -- kafka       the cluster profile's log, which starts a broker; only when asked for
 *   npm run -s bench -- spark       the way to bronze in one process beside that through the cluster; only when asked for
 */
interface Figure {
  what: string;
  value: string;
  target: string;
  peer: string;
  is_met: boolean | null;
}

const RECORDS = 1_000_000;
const PEER_COMMITS = 60;
const REPLAYED = "market-1h-2025-10.csv.gz";

/** They need Java and Maven, and a minute. */
const ON_DEMAND = new Set(["kafka", "spark"]);

// Each is loaded when it runs: what another one needs is none of its memory.
const CASES: Record<string, () => Promise<Figure[]>> = {
  ingest: async () => {
    const ours = await (await import("./ingest.ts")).benchIngest({ records: RECORDS, commits: 2_000 });
    const peer = await pyiceberg();
    return [
      atLeast("log → bronze, 1 M messages of 170 bytes (records/s)", ours.backlog.records_per_s, 500_000, `PyIceberg append ${round(RECORDS / peer.backlog_seconds)}: ${ratio(ours.backlog.records_per_s, RECORDS / peer.backlog_seconds)} ×`),
      atMost("  Node RSS while ingesting (MB)", ours.backlog.rss_max_mb, 400),
      atMost("  longest pause of the event loop (ms)", ours.backlog.event_loop_max_ms, null),
      atMost("durable append of 250 records, p50 (ms)", ours.append.p50_ms, 1),
      atMost("commit of 250 records around the 20th (ms)", ours.commits.around_20th_ms, null, `PyIceberg ${round(peer.commit_p50_ms)}: ${ratio(peer.commit_p50_ms, ours.commits.around_20th_ms)} × faster`),
      atMost("commit around the 2,000th (× the 20th)", ours.commits.ratio, 1.5),
    ];
  },
  replay: async () => {
    const file = marketData(REPLAYED);
    if (file === null) return [{ what: `replay of ${REPLAYED}`, value: "not here", target: "30 s", peer: "", is_met: null }];
    const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
    try {
      const common = ["--data", folder, "--catalog-port", "0"];
      const replay = await runCoinlake(["start", "--source", `replay:${file}`, "--speed", "max", "--until-drained", ...common]);
      const warm = await runCoinlake(["start", "--source", `replay:${file}`, "--speed", "max", ...common, "--port", "0"], { until: /^1\. .+[\s\S]+^5\. /m });
      const answer = await runCoinlake(["ask", "1", "--data", folder]);
      return [
        { ...atMost("113,088 ticks → tested gold, as a process (s)", replay.seconds, 30), is_met: replay.code === 0 && replay.seconds <= 30 },
        atMost("  Node RSS (MB)", replay.memory.process_mb, 400),
        atMost("  RSS of everything (MB)", replay.memory.tree_mb, 1_000),
        atMost("warm start → answers on the screen (s)", warm.seconds, 5),
        atMost("ask 1, as a process (s)", answer.seconds, null),
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  answers: async () => {
    const { rows, answers, candles } = await (await import("./answers.ts")).benchAnswers();
    return [
      ...answers.flatMap(({ number, made_ms, p99_ms }) => [
        atMost(`answer ${number} over ${rows / 1e6} M rows, asked again and again, p99 (ms)`, p99_ms, 50),
        atMost("  the first one, made while who asks waits (ms)", made_ms, null),
      ]),
      atMost("candles of one coin over 30 days, asked again and again, p99 (ms)", candles.p99_ms, 50),
      atMost("  of a coin that nobody had asked for, p50 (ms)", candles.made_ms, 50),
    ];
  },
  live: async () => {
    const ours = await (await import("./live.ts")).benchLive();
    return [
      atMost(`arrival → visible in live, ${ours.messages_per_s} messages/s, p50 (ms)`, ours.visible_p50_ms, 50),
      atMost("  p99 (ms)", ours.visible_p99_ms, 250),
      atMost(`arrival → alert at a webhook, p99 of ${ours.alerts} (ms)`, ours.alert_p99_ms, 500),
      atMost(`arrival → ${ours.sse_clients} clients of the event stream, p99 (ms)`, ours.sse_p99_ms, 500),
      atMost("age of the newest row when an SQL client has its answer, p50 (ms)", ours.sql_age_p50_ms, null),
      atMost("commits a minute, of the table with the most", ours.commits_per_minute, 6),
      atMost("Node RSS (MB)", ours.rss_max_mb, 500),
      atMost("  last quarter × second quarter", ours.rss_growth, 1.1),
    ];
  },
  increment: async () => {
    const ours = await (await import("./increment.ts")).benchIncrement();
    return [
      atMost(`dbt increment of one minute of ${ours.coins} coins, p50 of ${ours.increments} (s)`, ours.p50_s, 2),
      atMost("  slowest (s)", ours.max_s, null),
    ];
  },
  kafka: async () => {
    const { kafka, sqlite } = await (await import("./kafka.ts")).benchLogs();
    return [
      atMost("append of 250 records to Kafka, p50 (ms)", kafka.append_p50_ms, null, `SQLite log ${round(sqlite.append_p50_ms)}`),
      atMost("  p99 (ms)", kafka.append_p99_ms, null, `SQLite log ${round(sqlite.append_p99_ms)}`),
      rate("appends one after the other (1/s)", kafka.appends_per_s, `SQLite log ${round(sqlite.appends_per_s)}`),
      rate("appends of eight producers (1/s)", kafka.appends_side_by_side_per_s, `SQLite log ${round(sqlite.appends_side_by_side_per_s)}`),
      rate("reading (records/s)", kafka.read_records_per_s, `SQLite log ${round(sqlite.read_records_per_s)}`),
    ];
  },
  spark: async () => {
    const { embedded, spark } = await (await import("./spark.ts")).benchSpark();
    return [
      rate("log → bronze, 1 M messages of 170 bytes (records/s)", embedded.records_per_s, `Spark ${round(spark.records_per_s)}: ${ratio(embedded.records_per_s, spark.records_per_s)} ×`),
      rate("  CPU, of all processes (s)", embedded.cpu_seconds, `Spark ${round(spark.cpu_seconds)}: ${ratio(spark.cpu_seconds, embedded.cpu_seconds)} × less`),
      rate("  memory, of all processes (MB)", embedded.memory_mb, `Spark ${round(spark.memory_mb)}: ${ratio(spark.memory_mb, embedded.memory_mb)} × less`),
      rate("append → commit at 1,000 messages/s and a commit a second, p50 (s)", embedded.fresh_p50_s, `Spark ${round(spark.fresh_p50_s)}`),
      rate("  p99 (s)", embedded.fresh_p99_s, `Spark ${round(spark.fresh_p99_s)}`),
    ];
  },
  pages: async () => {
    const found = await (await import("./pages.ts")).benchPages();
    if (found === null) return [{ what: "pages in a browser", value: "no browser here", target: "1 s", peer: "", is_met: null }];
    return [
      atMost("script of every page, gzipped (kB)", found.script_bytes / 1000, 300),
      ...found.pages.flatMap(({ page, interactive_ms, filled_ms }) => [
        atMost(`${page}: navigation → interactive, median (ms)`, interactive_ms, 1_000),
        atMost("  → first data on the screen (ms)", filled_ms, null),
      ]),
    ];
  },
};

function atLeast(what: string, value: number, target: number, peer = ""): Figure {
  return { what, value: round(value), target: `≥ ${round(target)}`, peer, is_met: value >= target };
}

function atMost(what: string, value: number, target: number | null, peer = ""): Figure {
  return { what, value: round(value), target: target === null ? "" : `≤ ${round(target)}`, peer, is_met: target === null ? null : value <= target };
}

function rate(what: string, value: number, peer: string): Figure {
  return { what, value: round(value), target: "", peer, is_met: null };
}

function round(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 2 : 0 });
}

function ratio(a: number, b: number): string {
  return (a / b).toFixed(1);
}

async function pyiceberg(): Promise<{ backlog_seconds: number; commit_p50_ms: number }> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const lake = await openLake(openOrCreateLake(folder, { name: "simulated", kind: "simulated", pipeline: "bench" }));
  try {
    const script = fileURLToPath(new URL("peers.py", import.meta.url));
    const { stdout } = await promisify(execFile)(pythonExecutable(), [script, lake.server.url, String(RECORDS), String(PEER_COMMITS)]);
    return JSON.parse(stdout);
  } finally {
    await lake.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const words = process.argv.slice(2);
const chosen = words.filter((word) => word in CASES);
const unknown = words.filter((word) => !(word in CASES) && word !== "--json");
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(", ")}; choose from ${Object.keys(CASES).join(", ")}.\n`);
  process.exit(2);
}
const figures: Figure[] = [];
for (const name of chosen.length > 0 ? chosen : Object.keys(CASES).filter((name) => !ON_DEMAND.has(name))) {
  process.stderr.write(`${name} ...\n`);
  figures.push(...((await CASES[name]?.()) ?? []));
}
const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${release()}`;
const versions = `Node ${process.versions.node}, SQLite ${process.versions["sqlite"]}, DuckDB ${duckdbVersion()}`;
if (words.includes("--json")) console.log(JSON.stringify({ machine, versions, at: new Date().toISOString(), figures }, null, 2));
else {
  const table = new Table({ head: ["", "measured", "target", "", "peer, same run"], colAligns: ["left", "right", "right", "left", "left"], style: { head: [], border: [], compact: true } });
  table.push(...figures.map(({ what, value, target, peer, is_met }) => [what, value, target, is_met === null ? "" : is_met ? "✓" : "✗", peer]));
  console.log(`${machine}\n${versions}\n${table.toString()}`);
}
