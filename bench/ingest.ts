import { cpus, totalmem } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { version as duckdbVersion } from "@duckdb/node-api";
import type { Ingest } from "../src/ingest/ingest.ts";
import type { Log } from "../src/log/log.ts";
import { bareRecord, openBareIngest, TOPIC, type BareIngest } from "./bare-ingest.ts";
import { percentile, rounded } from "./percentile.ts";

const BATCH_RECORDS = 250;
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
  const backlog = await withBareIngest(async ({ log, ingest }) => {
    const append = await fillLog(log, records);
    await log.append(TOPIC, [bareRecord(records)]);
    return { append, backlog: await drainBacklog(ingest, records) };
  });
  const flatness = await withBareIngest(({ log, ingest }) => commitRepeatedly(log, ingest, commits));
  return {
    machine: { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, memory_gb: Math.round(totalmem() / 2 ** 30) },
    versions: { node: process.versions.node, sqlite: process.versions["sqlite"] ?? "", duckdb: duckdbVersion() },
    ...backlog,
    commits: flatness,
  };
}

async function withBareIngest<T>(measure: (bare: BareIngest) => Promise<T>): Promise<T> {
  const bare = await openBareIngest({ has_checksums: false });
  try {
    return await measure(bare);
  } finally {
    await bare.close();
  }
}

async function fillLog(log: Log, records: number): Promise<IngestFigures["append"]> {
  const durations_ms: number[] = [];
  for (let from = 0; from < records; from += BATCH_RECORDS) {
    const batch = Array.from({ length: Math.min(BATCH_RECORDS, records - from) }, (_, i) => bareRecord(from + i));
    const started = performance.now();
    await log.append(TOPIC, batch);
    durations_ms.push(performance.now() - started);
  }
  const total_ms = durations_ms.reduce((sum, duration_ms) => sum + duration_ms, 0);
  return {
    records,
    p50_ms: rounded(percentile(durations_ms, 0.5)),
    p99_ms: rounded(percentile(durations_ms, 0.99)),
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
      Array.from({ length: BATCH_RECORDS }, (_, i) => bareRecord(commit * BATCH_RECORDS + i)),
    );
    const started = performance.now();
    await ingest.runOnce();
    durations_ms.push(performance.now() - started);
  }
  const around_20th_ms = rounded(percentile(durations_ms.slice(10, 30), 0.5));
  const around_last_ms = rounded(percentile(durations_ms.slice(-20), 0.5));
  return {
    count: commits,
    rows_each: BATCH_RECORDS,
    around_20th_ms,
    around_last_ms,
    ratio: rounded(around_last_ms / around_20th_ms),
  };
}

if (import.meta.main) console.log(JSON.stringify(await benchIngest(), null, 2));
