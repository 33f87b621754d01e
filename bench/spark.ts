import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { readSetting } from "../src/base/settings.ts";
import type { RunningCluster } from "../src/services/cluster.ts";
import { systemClock } from "../src/base/clock.ts";
import { SparkStreams } from "../src/spark/streams.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import type { Pacing } from "../src/base/pacing.ts";
import { openLake } from "../src/lake/open.ts";
import { createIngest } from "../src/ingest/ingest.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { openKafkaLog } from "../src/log/kafka/log.ts";
import type { Log } from "../src/log/log.ts";
import { bronzeJob } from "../streaming/bronze.ts";
import { bareRecord, COMMIT_SIZE_BYTES, TABLE, TOPIC } from "./bare-ingest.ts";
import { watchLoad } from "./load.ts";
import { percentile } from "./percentile.ts";
import { withCluster } from "./with-cluster.ts";

const APPEND_RECORDS = 2_000;
/** Commit pacing of both profiles under a low record rate. */
const PACING: Pacing = {
  interval_ms: 1_000,
  due_records: Infinity,
  due_size_bytes: COMMIT_SIZE_BYTES,
  first_interval_ms: 1_000,
};
const TRICKLE = { batches: 300, batch_records: 100, every_ms: 100 };
const LOOK_MS = 50;

export interface WayFigures {
  records_per_s: number;
  /** CPU time of all participating processes during the backlog. */
  cpu_seconds: number;
  /** Their peak total memory. */
  memory_mb: number;
  /** Delay from a record's append to its commit, at 1,000 records and one commit per second. */
  fresh_p50_s: number;
  fresh_p99_s: number;
}

/** One way of ingest: the embedded profile or the cluster profile. */
interface Way {
  log: Log;
  /** Ingests all records of the log. */
  drain(): Promise<void>;
  /** Ingests new records continuously; resolves to the function that stops it. */
  follow(): Promise<() => Promise<void>>;
  /** The first offset that bronze lacks. */
  nextOffset(): Promise<number>;
  pids: readonly number[];
}

/**
 * Measures ingest of the same messages: in one process (SQLite, DuckDB, this disk), and in a cluster (Kafka, Spark,
 * MinIO, Hive).
 */
export async function benchSpark({ records = 1_000_000 } = {}): Promise<{ embedded: WayFigures; spark: WayFigures }> {
  return {
    embedded: await inOneProcess((way) => measure(way, records)),
    spark: await withCluster(["kafka", "spark"], (cluster) => inCluster(cluster, (way) => measure(way, records))),
  };
}

async function inOneProcess<T>(work: (way: Way) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const open = await openLake(openOrCreateLake(folder, { name: "bench", kind: "simulated", pipeline: "bench" }));
  const writer = await openParquetWriter(open);
  try {
    const { log, catalog, storage } = open;
    await log.createTopic(TOPIC, 1);
    const limits = { pacing: PACING, commit_size_bytes: COMMIT_SIZE_BYTES, retention_ms: Infinity };
    const ingest = createIngest({
      log,
      catalog,
      storage,
      records: writer,
      table: TABLE,
      topic: TOPIC,
      clock: systemClock,
      limits,
    });
    return await work({
      log,
      drain: () => ingest.drain(),
      async follow() {
        const stopping = new AbortController();
        const running = ingest.run(stopping.signal);
        return async () => {
          stopping.abort();
          await running;
        };
      },
      nextOffset: async () => ingest.committed().offsets.get(0) ?? 0,
      pids: [process.pid],
    });
  } finally {
    writer.close();
    await open.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function inCluster<T>(cluster: RunningCluster, work: (way: Way) => Promise<T>): Promise<T> {
  const kafka_brokers = readSetting("COINLAKE_KAFKA_BROKERS", cluster.environment) ?? "";
  const streams = new SparkStreams(cluster.environment["SPARK_REMOTE"] ?? "");
  const log = await openKafkaLog({ brokers: [kafka_brokers] });
  const job = bronzeJob({
    name: "bench",
    topic: { name: TOPIC, partitions: 1, retention_ms: Infinity },
    bronze: { table: `${TABLE.namespace[0]}.${TABLE.name}`, commit: PACING, commit_size_bytes: COMMIT_SIZE_BYTES },
  });
  const start = () => job.start(streams, { kafka_brokers });
  try {
    await log.createTopic(TOPIC, 1);
    // The JVM compiles frequent code at run time, so the first batch would distort the measurement.
    await log.append(TOPIC, [bareRecord(0)]);
    const first = await start();
    await first.drain({ timeout_ms: null });
    await first.stop();
    return await work({
      log,
      drain: async () => (await start()).drain({ timeout_ms: null }),
      async follow() {
        const query = await start();
        return () => query.stop();
      },
      nextOffset: async () => (await (await start()).lastProgress())?.sources[0]?.end?.[TOPIC]?.["0"] ?? 0,
      pids: [process.pid, ...[...cluster.services.values()].map(({ pid }) => pid)],
    });
  } finally {
    streams.disconnect();
    await log.close();
  }
}

async function measure(way: Way, records: number): Promise<WayFigures> {
  for (let from = 0; from < records; from += APPEND_RECORDS) {
    await way.log.append(
      TOPIC,
      Array.from({ length: Math.min(APPEND_RECORDS, records - from) }, (_, index) => bareRecord(from + index)),
    );
  }
  const load = watchLoad(way.pids);
  const started_ms = performance.now();
  await way.drain();
  const seconds = (performance.now() - started_ms) / 1000;
  const { cpu_seconds, memory_mb } = load();
  const waits_s = await trickle(way);
  return {
    records_per_s: records / seconds,
    cpu_seconds,
    memory_mb,
    fresh_p50_s: percentile(waits_s, 0.5),
    fresh_p99_s: percentile(waits_s, 0.99),
  };
}

/** Seconds from each record's append to its commit. */
async function trickle(way: Way): Promise<number[]> {
  const end = await way.follow();
  /** Appends without a commit yet, oldest first. */
  let arrivals: { end: number; at_ms: number }[] = [];
  const waits_s: number[] = [];
  let end_offset = (await way.log.bounds(TOPIC))[0]?.end ?? 0;
  const recordCommitted = async () => {
    const reached = await way.nextOffset();
    for (const { end: last, at_ms } of arrivals) if (last <= reached) waits_s.push((performance.now() - at_ms) / 1000);
    arrivals = arrivals.filter(({ end: last }) => last > reached);
  };
  const begun_ms = performance.now();
  for (let batch = 0; batch < TRICKLE.batches; batch += 1) {
    await way.log.append(
      TOPIC,
      Array.from({ length: TRICKLE.batch_records }, (_, index) => bareRecord(end_offset + index)),
    );
    end_offset += TRICKLE.batch_records;
    arrivals.push({ end: end_offset, at_ms: performance.now() });
    const next_ms = begun_ms + (batch + 1) * TRICKLE.every_ms;
    do await recordCommitted();
    while (
      performance.now() < next_ms &&
      (await wait(Math.max(1, Math.min(LOOK_MS, next_ms - performance.now())), true))
    );
  }
  while (arrivals.length > 0) {
    await wait(LOOK_MS);
    await recordCommitted();
  }
  await end();
  return waits_s;
}

if (import.meta.main) console.log(JSON.stringify(await benchSpark(), null, 2));
