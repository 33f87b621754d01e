import Table from "cli-table3";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { version as duckdbVersion } from "@duckdb/node-api";
import { openLake } from "../src/lake/open.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { pythonExecutable } from "../src/lake/tools.ts";
import { marketData } from "../test/support/market-data.ts";
import { ABOUT } from "./about.ts";
import type { DayFigures, DaySample, growthOf } from "./day.ts";
import { atLeast, atMost, rate, ratio, round, type Figure } from "./figure.ts";
import { runCoinlake } from "./process.ts";
import type { SoakRow } from "./soak.ts";

/**
 * Runs the benchmarks and compares them with their targets and, where one exists, with a peer on the same work.
 *
 *   npm run -s bench [-- ingest|replay|increment|live|answers|pages ...] [--json]
 *   npm run -s bench -- kafka     the cluster profile's log; starts a broker, so it runs by name only
 *   npm run -s bench -- spark     ingest in one process and through the cluster; by name only
 *   npm run -s bench -- --help    every benchmark and its options
 */

const VERSIONS = `Node ${process.versions.node}, SQLite ${process.versions["sqlite"]}, DuckDB ${duckdbVersion()}`;
const RECORDS = 1_000_000;
const PEER_COMMITS = 60;
const REPLAYED = "market-1h-2025-10.csv.gz";

/**
 * Benchmarks that run only by name: `kafka` and `spark` need Java and Maven, as do `compaction` and `orders` without
 * `--no-spark`; the others take long.
 */
const ON_DEMAND = new Set(["kafka", "spark", "soak", "day", "compaction", "durable", "verify", "orders"]);

const { values: given, positionals: chosen } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    pipeline: { type: "string", default: "crypto" },
    minutes: { type: "string", default: "120" },
    every: { type: "string", default: "10" },
    hours: { type: "string", default: "24" },
    days: { type: "string" },
    light: { type: "boolean", default: false },
    chart: { type: "boolean", default: false },
    out: { type: "string" },
    rows: { type: "string", default: "10000000" },
    orders: { type: "string", default: "100000" },
    files: { type: "string", default: "200" },
    folder: { type: "string" },
    mb: { type: "string", default: "300" },
    commits: { type: "string", default: "2000" },
    seconds: { type: "string", default: "600" },
    spark: { type: "boolean", default: true },
  },
});

function numberOf(
  name: "minutes" | "every" | "hours" | "mb" | "commits" | "seconds" | "rows" | "orders" | "files",
  text = given[name],
): number {
  const number = Number(text);
  if (text.trim() !== "" && number >= 0 && Number.isFinite(number)) return number;
  process.stderr.write(`--${name} takes a number, not "${text}".\n`);
  process.exit(2);
}

// Modules are loaded when their benchmark runs, so that their memory does not count in the others.
const CASES: Record<string, () => Promise<Figure[]>> = {
  ingest: async () => {
    const measured = await (await import("./ingest.ts")).benchIngest({ records: RECORDS, commits: 2_000 });
    const peer = await pyiceberg();
    return [
      atLeast(
        "log → bronze, 1 M messages of 170 bytes (records/s)",
        measured.backlog.records_per_s,
        500_000,
        `PyIceberg append ${round(RECORDS / peer.backlog_seconds)}: ` +
          `${ratio(measured.backlog.records_per_s, RECORDS / peer.backlog_seconds)} ×`,
      ),
      atMost("  Node RSS while ingesting (MB)", measured.backlog.rss_max_mb, 400),
      atMost("  longest pause of the event loop (ms)", measured.backlog.event_loop_max_ms, null),
      atMost("durable append of 250 records, p50 (ms)", measured.append.p50_ms, 1),
      atMost(
        "commit of 250 records around the 20th (ms)",
        measured.commits.around_20th_ms,
        null,
        `PyIceberg ${round(peer.commit_p50_ms)}: ` +
          `${ratio(peer.commit_p50_ms, measured.commits.around_20th_ms)} × faster`,
      ),
      atMost("commit around the 2,000th (× the 20th)", measured.commits.ratio, 1.5),
    ];
  },
  replay: async () => {
    const file = marketData(REPLAYED);
    if (file === null)
      return [{ what: `replay of ${REPLAYED}`, value: "not here", target: "30 s", peer: "", is_met: null }];
    const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
    try {
      const common = ["--data", folder, "--catalog-port", "0"];
      const replay = await runCoinlake([
        "start",
        "--source",
        `replay:${file}`,
        "--speed",
        "max",
        "--until-drained",
        ...common,
      ]);
      const warm = await runCoinlake(
        ["start", "--source", `replay:${file}`, "--speed", "max", ...common, "--port", "0"],
        { until: /^1\. .+[\s\S]+^5\. /m },
      );
      const answer = await runCoinlake(["ask", "1", "--data", folder]);
      return [
        {
          ...atMost("113,088 ticks → tested gold, as a process (s)", replay.seconds, 30),
          is_met: replay.code === 0 && replay.seconds <= 30,
        },
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
    const measured = await (await import("./live.ts")).benchLive();
    return [
      atMost(`arrival → visible in live, ${measured.messages_per_s} messages/s, p50 (ms)`, measured.visible_p50_ms, 50),
      atMost("  p99 (ms)", measured.visible_p99_ms, 250),
      atMost(`arrival → alert at a webhook, p99 of ${measured.alerts} (ms)`, measured.alert_p99_ms, 500),
      atMost(`arrival → ${measured.sse_clients} clients of the event stream, p99 (ms)`, measured.sse_p99_ms, 500),
      atMost("age of the newest row when an SQL client has its answer, p50 (ms)", measured.sql_age_p50_ms, null),
      atMost("commits a minute, of the table with the most", measured.commits_per_minute, 6),
      atMost("Node RSS (MB)", measured.rss_max_mb, 500),
      atMost("  last quarter × second quarter", measured.rss_growth, 1.1),
    ];
  },
  durable: async () => {
    const { without, durable } = await (await import("./durable.ts")).benchDurable();
    const row = (what: string, key: keyof typeof durable): Figure => ({
      what,
      value: round(durable[key]),
      target: "",
      peer: `without: ${round(without[key])}`,
      is_met: null,
    });
    return [
      row("commit of a table by dbt or ingest, p50 (ms)", "commit_p50_ms"),
      row("commit, p99 (ms)", "commit_p99_ms"),
      row("commit to bronze with its files, p50 (ms)", "ingest_commit_p50_ms"),
      row("dbt increment of one minute of 250 coins, p50 (s)", "increment_p50_s"),
    ];
  },
  increment: async () => {
    const measured = await (await import("./increment.ts")).benchIncrement();
    return [
      atMost(
        `dbt increment of one minute of ${measured.coins} coins, p50 of ${measured.increments} (s)`,
        measured.p50_s,
        2,
      ),
      atMost("  slowest (s)", measured.max_s, null),
    ];
  },
  kafka: async () => {
    const { kafka, sqlite } = await (await import("./kafka.ts")).benchLogs();
    return [
      atMost(
        "append of 250 records to Kafka, p50 (ms)",
        kafka.append_p50_ms,
        null,
        `SQLite log ${round(sqlite.append_p50_ms)}`,
      ),
      atMost("  p99 (ms)", kafka.append_p99_ms, null, `SQLite log ${round(sqlite.append_p99_ms)}`),
      rate("appends one after the other (1/s)", kafka.appends_per_s, `SQLite log ${round(sqlite.appends_per_s)}`),
      rate(
        "appends of eight producers (1/s)",
        kafka.appends_side_by_side_per_s,
        `SQLite log ${round(sqlite.appends_side_by_side_per_s)}`,
      ),
      rate("reading (records/s)", kafka.read_records_per_s, `SQLite log ${round(sqlite.read_records_per_s)}`),
    ];
  },
  spark: async () => {
    const { embedded, spark } = await (await import("./spark.ts")).benchSpark();
    return [
      rate(
        "log → bronze, 1 M messages of 170 bytes (records/s)",
        embedded.records_per_s,
        `Spark ${round(spark.records_per_s)}: ${ratio(embedded.records_per_s, spark.records_per_s)} ×`,
      ),
      rate(
        "  CPU, of all processes (s)",
        embedded.cpu_seconds,
        `Spark ${round(spark.cpu_seconds)}: ${ratio(spark.cpu_seconds, embedded.cpu_seconds)} × less`,
      ),
      rate(
        "  memory, of all processes (MB)",
        embedded.memory_mb,
        `Spark ${round(spark.memory_mb)}: ${ratio(spark.memory_mb, embedded.memory_mb)} × less`,
      ),
      rate(
        "append → commit at 1,000 messages/s and a commit a second, p50 (s)",
        embedded.fresh_p50_s,
        `Spark ${round(spark.fresh_p50_s)}`,
      ),
      rate("  p99 (s)", embedded.fresh_p99_s, `Spark ${round(spark.fresh_p99_s)}`),
    ];
  },
  verify: async () => {
    const measured = await (
      await import("./verify.ts")
    ).benchVerify({ rows: numberOf("rows"), folder: given.folder ?? null });
    const { rows, quick, deep, commit } = measured;
    return [
      atMost(`verify of ${(rows / 1e6).toFixed(1)} M rows in bronze, exit code ${quick.code} (s)`, quick.seconds, null),
      atMost("  RSS of everything (MB)", quick.tree_mb, 1_000),
      atMost(`verify --deep, exit code ${deep.code} (s)`, deep.seconds, null),
      atMost("  RSS of everything (MB)", deep.tree_mb, 1_500),
      atMost(
        "commit of 250 records with checksums, p50 (ms)",
        commit.with_ms,
        null,
        `without ${round(commit.without_ms)}`,
      ),
      atMost("  taking the checksums after it, p50 (ms)", commit.checksums_ms, null),
    ];
  },
  orders: async () => {
    const { benchOrders, figuresOfOrders } = await import("./orders.ts");
    return figuresOfOrders(
      await benchOrders({ orders: numberOf("orders"), files: numberOf("files"), with_spark: given.spark }),
    );
  },
  soak: async () => {
    const { soak, soakTable } = await import("./soak.ts");
    const pipelines = given.pipeline.split(",");
    const measured = await soak({
      pipelines,
      minutes: numberOf("minutes"),
      every: numberOf("every"),
      out: given.out,
    });
    console.log(soakTable(measured.rows));
    for (const error of measured.errors.slice(0, 20)) process.stderr.write(`${error}\n`);
    const mean = (of: (row: SoakRow) => number): number =>
      measured.rows.reduce((sum, row) => sum + of(row), 0) / measured.rows.length;
    const most = (of: (row: SoakRow) => number): number => Math.max(...measured.rows.map(of));
    return [
      atMost(
        "share of a core, dbt worker and Node, mean",
        mean(({ worker_cpu_share, node_cpu_share }) => worker_cpu_share + node_cpu_share),
        0.15 * pipelines.length,
      ),
      atMost(
        "Node RSS, most (MB)",
        most(({ node_rss_mb }) => node_rss_mb),
        450 * pipelines.length,
      ),
      atMost(
        "dbt worker RSS, most (MB)",
        most(({ worker_rss_mb }) => worker_rss_mb),
        350 * pipelines.length,
      ),
      atMost(
        "process tree, most (MB, shared pages once)",
        most(({ tree_pss_mb }) => tree_pss_mb),
        800 * pipelines.length,
      ),
      atMost("errors of pages, events, outside reader and process", measured.errors.length, 0),
      atMost(`exit code of verify, after ${round(measured.verify_s)} s`, measured.verify_code ?? NaN, 0),
      atMost(`exit code after SIGINT, after ${round(measured.stop_s)} s`, measured.stop_code ?? NaN, 0),
      atMost("restart until ready (s)", measured.restart_ready_s, null),
    ];
  },
  day: async () => {
    const { benchDay, growthOf, writeChart } = await import("./day.ts");
    const hours = given.days === undefined ? numberOf("hours") : 24 * numberOf("hours", given.days);
    const progress = (sample: DaySample): void =>
      void process.stderr.write(
        `${round(sample.minutes / 60)} h: increment ${round(sample.increment_s)} s, ` +
          `questions ${round(sample.questions_ms)} ms, ${sample.files} files\n`,
      );
    const measured = await benchDay({ hours, is_light: given.light, progress });
    const about = { machine: machine(), versions: VERSIONS, at: new Date().toISOString(), growth: growthOf(measured) };
    if (given.chart) process.stderr.write(`chart and samples: ${writeChart(measured, about)}\n`);
    if (given.out !== undefined) writeFileSync(given.out, `${JSON.stringify({ ...about, ...measured }, null, 2)}\n`);
    console.log(sampleTable(measured.samples));
    return [
      {
        what:
          `${measured.increments} increments ${measured.is_light ? "by DuckDB instead of dbt" : "by dbt"}, ` +
          `${measured.commits} commits`,
        value: `${round(measured.seconds)} s`,
        target: "",
        peer: "",
        is_met: null,
      },
      ...growthFigures(measured, about.growth),
      ...budgetFigures(measured),
    ];
  },
  compaction: async () => {
    const { benchCompaction } = await import("./compaction.ts");
    const measured = await benchCompaction({
      input_mb: numberOf("mb"),
      commits: numberOf("commits"),
      is_with_spark: given.spark,
    });
    const { small, large, amplification, spark } = measured;
    const mb_per_s = large.input_mb / large.seconds;
    const beside_spark =
      spark === null
        ? ""
        : "skipped" in spark
          ? spark.skipped
          : `Spark ${round(spark.mb_per_s)}: ${ratio(mb_per_s, spark.mb_per_s)} ×`;
    return [
      atMost(`${round(small.files)} files of 250 rows (s)`, small.seconds, 2),
      atLeast(`${round(large.input_mb)} MB in ${large.files} files (MB/s of input)`, mb_per_s, 150, beside_spark),
      atMost("  RSS of a process that does only this (MB)", large.rss_mb, 512),
      atMost(`bytes written × bytes ingested, ${round(amplification.commits)} commits`, amplification.factor, null),
      atMost("  live files after them", amplification.live_files, null),
      ...(numberOf("seconds") === 0 ? [] : await liveBesideMaintenance(numberOf("seconds"))),
    ];
  },
  pages: async () => {
    const found = await (await import("./pages.ts")).benchPages();
    if (found === null)
      return [{ what: "pages in a browser", value: "no browser here", target: "1 s", peer: "", is_met: null }];
    return [
      atMost("script of every page, gzipped (kB)", found.script_bytes / 1000, 300),
      ...found.pages.flatMap(({ page, interactive_ms, filled_ms }) => [
        atMost(`${page}: navigation → interactive, median (ms)`, interactive_ms, 1_000),
        atMost("  → first data on the screen (ms)", filled_ms, null),
      ]),
    ];
  },
};

const MAX_GROWTH = 1.3;

function growthFigures({ samples }: DayFigures, growth: ReturnType<typeof growthOf>): Figure[] {
  const [first, last] = [samples[0], samples.at(-1)];
  return Object.entries(growth).flatMap(([name, factor]) => {
    if (Number.isNaN(factor)) return [];
    const [from, to] = [first, last].map((sample) => round(sample?.[name as keyof typeof growth] ?? NaN));
    return [atMost(`${name}: last hour × first ten minutes`, factor, MAX_GROWTH, `${from} → ${to}`)];
  });
}

/** Figures of the whole lake. They are limits that the product promises; a figure beyond its limit fails the run. */
function budgetFigures({ samples, files_after_half_an_hour }: DayFigures): Figure[] {
  const last = samples.at(-1);
  if (last === undefined) return [];
  const is_day = last.minutes >= 24 * 60;
  const budget = [
    ...(Number.isNaN(files_after_half_an_hour)
      ? []
      : [atMost("files after half an hour", files_after_half_an_hour, 1_500)]),
    atMost(`files after ${round(last.minutes / 60)} hours`, last.files, 4_000),
    {
      ...atMost("bytes on disk × live bytes", last.table_bytes / last.live_bytes, 2),
      ...(!is_day && { target: "≤ 2 after a day", is_met: null }),
    },
  ];
  if (budget.some(({ is_met }) => is_met === false)) process.exitCode = 1;
  return budget;
}

/** Runs the same trades twice: with maintenance and without. */
async function liveBesideMaintenance(seconds: number): Promise<Figure[]> {
  const { benchLive } = await import("./live.ts");
  const without = await benchLive({ seconds, is_maintained: false });
  const measured = await benchLive({ seconds });
  const peer = (value: number): string => `without maintenance ${round(value)}`;
  return [
    atMost(
      `arrival → visible in live beside maintenance, ${seconds} s, p50 (ms)`,
      measured.visible_p50_ms,
      null,
      peer(without.visible_p50_ms),
    ),
    atMost("  p99 (ms)", measured.visible_p99_ms, 250, peer(without.visible_p99_ms)),
    atMost("  commit conflicts of ingest", measured.commit_conflicts, null, peer(without.commit_conflicts)),
  ];
}

function sampleTable(samples: readonly DaySample[]): string {
  const columns = Object.keys(samples[0] ?? {}) as (keyof DaySample)[];
  const cell = (value: string | number): string => (typeof value === "number" ? round(value) : value);
  const rows = samples.map((sample) => `| ${columns.map((column) => cell(sample[column])).join(" | ")} |`);
  return [`| ${columns.join(" | ")} |`, `|${" ---: |".repeat(columns.length)}`, ...rows].join("\n");
}

async function pyiceberg(): Promise<{ backlog_seconds: number; commit_p50_ms: number }> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const lake = await openLake(openOrCreateLake(folder, { name: "simulated", kind: "simulated", pipeline: "bench" }));
  try {
    const script = fileURLToPath(new URL("peers.py", import.meta.url));
    const { stdout } = await promisify(execFile)(pythonExecutable(), [
      script,
      lake.server.url,
      String(RECORDS),
      String(PEER_COMMITS),
    ]);
    return JSON.parse(stdout);
  } finally {
    await lake.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function machine(): string {
  return (
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ` +
    `${process.platform} ${release()}`
  );
}

if (given.help) {
  const lines = Object.keys(CASES).map(
    (name) => `${name.padEnd(12)}${ON_DEMAND.has(name) ? "(only when named) " : ""}${ABOUT[name]}`,
  );
  console.log(`npm run -s bench -- [NAME ...] [--json]\n\n${lines.join("\n")}`);
  process.exit(0);
}
const unknown = chosen.filter((word) => !(word in CASES));
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(", ")}; choose from ${Object.keys(CASES).join(", ")}.\n`);
  process.exit(2);
}
const figures: Figure[] = [];
for (const name of chosen.length > 0 ? chosen : Object.keys(CASES).filter((name) => !ON_DEMAND.has(name))) {
  process.stderr.write(`${name} ...\n`);
  figures.push(...((await CASES[name]?.()) ?? []));
}
if (given.json)
  console.log(
    JSON.stringify({ machine: machine(), versions: VERSIONS, at: new Date().toISOString(), figures }, null, 2),
  );
else {
  const table = new Table({
    head: ["", "measured", "target", "", "peer, same run"],
    colAligns: ["left", "right", "right", "left", "left"],
    style: { head: [], border: [], compact: true },
  });
  table.push(
    ...figures.map(({ what, value, target, peer, is_met }) => [
      what,
      value,
      target,
      is_met === null ? "" : is_met ? "✓" : "✗",
      peer,
    ]),
  );
  console.log(`${machine()}\n${VERSIONS}\n${table.toString()}`);
}
