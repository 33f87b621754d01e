import { rm, mkdtemp } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { version as duckdbVersion } from "@duckdb/node-api";
import { Catalog } from "../src/catalog/catalog.ts";
import { SqliteStore } from "../src/catalog/sqlite/store.ts";
import { systemClock } from "../src/base/clock.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { createIngest, type Ingest } from "../src/ingest/ingest.ts";
import type { Log } from "../src/log/log.ts";
import { openSqliteLog } from "../src/log/sqlite/log.ts";
import type { SourceRecord } from "../src/producer/producer.ts";
import { locationOfPath } from "../src/storage/file/location.ts";
import { AT_ONCE } from "../src/base/pacing.ts";
import { FileStorage } from "../src/storage/file/storage.ts";

const TOPIC = "bench";
const BATCH_RECORDS = 250;
const PAYLOAD_BYTES = 170;
const RSS_SAMPLE_MS = 20;

export interface IngestFigures {
  machine: { cpu: string; cores: number; memory_gb: number };
  versions: { node: string; sqlite: string; duckdb: string };
  append: { records: number; p50_ms: number; p99_ms: number; records_per_s: number };
  backlog: {
    records: number;
    seconds: number;
    cpu_seconds: number;
    records_per_s: number;
    commits: number;
    rss_max_mb: number;
    event_loop_max_ms: number;
  };
  commits: { count: number; rows_each: number; around_20th_ms: number; around_last_ms: number; ratio: number };
}

/** Measures the durable append, a backlog into bronze, and whether commits slow down as their number grows. */
export async function benchIngest({ records = 1_000_000, commits = 2_000 } = {}): Promise<IngestFigures> {
  const backlog = await withLake(async (log, ingest) => {
    const append = await fillLog(log, records);
    await log.append(TOPIC, [recordOf(records)]);
    return { append, backlog: await drainBacklog(ingest, records) };
  });
  const flatness = await withLake((log, ingest) => commitRepeatedly(log, ingest, commits));
  return {
    machine: { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, memory_gb: Math.round(totalmem() / 2 ** 30) },
    versions: { node: process.versions.node, sqlite: process.versions["sqlite"] ?? "", duckdb: duckdbVersion() },
    ...backlog,
    commits: flatness,
  };
}

async function withLake<T>(measure: (log: Log, ingest: Ingest) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "coinlake-bench-"));
  const storage = new FileStorage();
  const store = new SqliteStore(join(folder, "catalog.sqlite"));
  const catalog = new Catalog({ store, storage, warehouse: locationOfPath(join(folder, "warehouse")) });
  const log = openSqliteLog({ file: join(folder, "log.sqlite") });
  const writer = await openParquetWriter({ storage });
  try {
    await log.createTopic(TOPIC, 1);
    const limits = { pacing: AT_ONCE, commit_size_bytes: 64 * 1024 * 1024, retention_ms: Infinity };
    const table = { namespace: ["bronze"], name: "bench" };
    const ingest = createIngest({
      log,
      catalog,
      storage,
      records: writer,
      table,
      topic: TOPIC,
      clock: systemClock,
      limits,
    });
    return await measure(log, ingest);
  } finally {
    writer.close();
    await log.close();
    await catalog.close();
    await rm(folder, { recursive: true });
  }
}

function recordOf(number: number): SourceRecord {
  const payload = Buffer.from(
    `{"e":"aggTrade","s":"BTCUSDT","a":${number},"p":"${60_000 + (number % 997)}.${number % 89}"`.padEnd(
      PAYLOAD_BYTES - 1,
      " ",
    ) + "}",
  );
  return { key: "btc", source: "bench", payload, ingested_at_us: 1_760_000_000_000_000 + number * 100 };
}

async function fillLog(log: Log, records: number): Promise<IngestFigures["append"]> {
  const durations_ms: number[] = [];
  for (let from = 0; from < records; from += BATCH_RECORDS) {
    const batch = Array.from({ length: Math.min(BATCH_RECORDS, records - from) }, (_, i) => recordOf(from + i));
    const started = performance.now();
    await log.append(TOPIC, batch);
    durations_ms.push(performance.now() - started);
  }
  const total_ms = durations_ms.reduce((sum, duration_ms) => sum + duration_ms, 0);
  return {
    records,
    p50_ms: quantile(durations_ms, 0.5),
    p99_ms: quantile(durations_ms, 0.99),
    records_per_s: Math.round((records / total_ms) * 1000),
  };
}

async function drainBacklog(ingest: Ingest, records: number): Promise<IngestFigures["backlog"]> {
  let rss_bytes = process.memoryUsage.rss();
  const sampler = setInterval(() => (rss_bytes = Math.max(rss_bytes, process.memoryUsage.rss())), RSS_SAMPLE_MS);
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const started = performance.now();
  const cpu_before = process.cpuUsage();
  let commits = 0;
  while ((await ingest.runOnce()) !== null) commits += 1;
  const seconds = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(cpu_before);
  delays.disable();
  clearInterval(sampler);
  return {
    records,
    seconds: rounded(seconds),
    // CPU time, because other work on the machine distorts the wall time.
    cpu_seconds: rounded((cpu.user + cpu.system) / 1e6),
    records_per_s: Math.round(records / seconds),
    commits,
    rss_max_mb: Math.round(rss_bytes / 1e6),
    event_loop_max_ms: rounded(delays.max / 1e6),
  };
}

/** Medians of 20 commits, so that a single slow fsync has no effect. */
async function commitRepeatedly(log: Log, ingest: Ingest, commits: number): Promise<IngestFigures["commits"]> {
  const durations_ms: number[] = [];
  for (let commit = 0; commit < commits; commit += 1) {
    await log.append(
      TOPIC,
      Array.from({ length: BATCH_RECORDS }, (_, i) => recordOf(commit * BATCH_RECORDS + i)),
    );
    const started = performance.now();
    await ingest.runOnce();
    durations_ms.push(performance.now() - started);
  }
  const around_20th_ms = quantile(durations_ms.slice(10, 30), 0.5);
  const around_last_ms = quantile(durations_ms.slice(-20), 0.5);
  return {
    count: commits,
    rows_each: BATCH_RECORDS,
    around_20th_ms,
    around_last_ms,
    ratio: rounded(around_last_ms / around_20th_ms),
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

if (import.meta.main) console.log(JSON.stringify(await benchIngest(), null, 2));
