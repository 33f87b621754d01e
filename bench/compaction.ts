import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "../pipelines/crypto.ts";
import { tableNamed } from "../src/iceberg/errors.ts";
import type { Field } from "../src/iceberg/model.ts";
import { systemClock } from "../src/base/clock.ts";
import type { RunningCluster } from "../src/services/cluster.ts";
import { copyToParquet } from "../src/duckdb/copy.ts";
import { openDuckDB } from "../src/duckdb/duckdb.ts";
import { openLake, type OpenLake } from "../src/lake/open.ts";
import { messageOf } from "../src/base/errors.ts";
import { createAppendStager } from "../src/iceberg/append.ts";
import { CONTENT, type DataFile } from "../src/iceberg/manifest-model.ts";
import { currentSnapshot } from "../src/iceberg/stage.ts";
import { openOrCreateLake, rememberAsCurrent } from "../src/lake/lake.ts";
import type { ActionReport } from "../src/maintain/parts.ts";
import { pathOfLocation } from "../src/storage/file/location.ts";
import { runCoinlake } from "./process.ts";
import { openIngest, openSimulatedLake, scheduleMaintenance, SimulatedClock } from "./simulated-lake.ts";
import { withCluster } from "./with-cluster.ts";

export interface CompactionOptions {
  /** Input of the throughput measurement. */
  input_mb: number;
  input_files: number;
  commits: number;
  is_with_spark: boolean;
}

interface Compacted {
  files: number;
  input_mb: number;
  seconds: number;
  /** Peak memory of a process that only compacts. */
  rss_mb: number;
}

export interface CompactionFigures {
  small: Compacted;
  large: Compacted;
  amplification: { commits: number; ingested_mb: number; rewritten_mb: number; factor: number; live_files: number };
  spark: { seconds: number; mb_per_s: number; files_after: number } | { skipped: string } | null;
}

/** Measures compaction by the `maintain` command on generated files. */
export async function benchCompaction({
  input_mb = 300,
  input_files = 200,
  commits = 2_000,
  is_with_spark = true,
}: Partial<CompactionOptions> = {}): Promise<CompactionFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const lake = openOrCreateLake(folder, { name: "bench", kind: "simulated", pipeline: crypto.name });
  rememberAsCurrent(folder, lake);
  try {
    const open = await openLake(lake);
    try {
      await open.catalog.createNamespace(["gold"]);
      const per_file = await rowsOfSize(open, (input_mb * 1e6) / input_files);
      await fill(open, "gold.small", { files: 1_000, rows: 250 });
      await fill(open, "gold.large", { files: input_files, rows: per_file });
      if (is_with_spark) await fill(open, "gold.large_for_spark", { files: input_files, rows: per_file });
    } finally {
      await open.close();
    }
    const small = await compactAsProcess(folder, "gold.small");
    const large = await compactAsProcess(folder, "gold.large");
    const spark = is_with_spark ? await compactWithSpark(folder, "gold.large_for_spark", large.input_mb) : null;
    return { small, large, amplification: await measureAmplification(commits), spark };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const COLUMNS: readonly Field[] = Object.entries({
  crypto_id: "string",
  time_id: "long",
  price_usd: "decimal(38, 18)",
  volume_24h: "decimal(38, 18)",
  market_cap: "decimal(38, 18)",
  percent_change_1h: "double",
  price_at: "timestamptz",
  price_date: "date",
  source: "string",
  log_partition: "int",
  log_offset: "long",
  element_index: "int",
}).map(([name, type], index) => ({ id: index + 1, name, required: false, type }));

/** Rows like those of gold.fact_crypto_ticks. */
function facts(first: number, rows: number): string {
  return `SELECT 'coin-' || row % 50 AS crypto_id, row // 600 AS time_id,
    (hash(row) % 100000000 / 1000)::decimal(38, 18) AS price_usd,
    (hash(row + 1) % 10000000000)::decimal(38, 18) AS volume_24h,
    (hash(row + 2) % 1000000000000)::decimal(38, 18) AS market_cap,
    hash(row + 3) / 1.8e18 - 5 AS percent_change_1h,
    timestamptz '2026-01-05T00:00:00Z' + to_milliseconds(row * 100) AS price_at, date '2026-01-05' AS price_date,
    'bench' AS source, 0 AS log_partition, row // 50 AS log_offset, (row % 50)::int AS element_index
    FROM range(${first}, ${first + rows}) t(row)`;
}

/** Number of rows that make a file of about this size. */
async function rowsOfSize(lake: OpenLake, size_bytes: number): Promise<number> {
  const sample_rows = 20_000;
  const [file] = await writeFiles(`${lake.lake.warehouse}/sample`, { files: 1, rows: sample_rows });
  return Math.max(1, Math.round((sample_rows * size_bytes) / Number(file?.file_size_in_bytes)));
}

/** Creates a table with these files in one commit. */
async function fill(
  { catalog, storage }: OpenLake,
  name: string,
  size: { files: number; rows: number },
): Promise<void> {
  const schema = { type: "struct" as const, fields: [...COLUMNS] };
  const table = await catalog.createTable({
    identifier: tableNamed(name),
    schema,
    properties: { "format-version": "2" },
  });
  const files = await writeFiles(`${table.metadata.location}/data`, size);
  const { change } = await createAppendStager({ storage, clock: systemClock }).stage(table, files);
  await catalog.commit([change]);
}

async function writeFiles(folder: string, { files, rows }: { files: number; rows: number }): Promise<DataFile[]> {
  const instance = await openDuckDB();
  const connection = await instance.connect();
  try {
    const written: DataFile[] = [];
    mkdirSync(pathOfLocation(folder), { recursive: true });
    for (let index = 0; index < files; index += 1) {
      const location = `${folder}/${index}.parquet`;
      const file = await copyToParquet(connection, facts(index * rows, rows), { location, columns: COLUMNS });
      written.push({
        ...file,
        content: CONTENT.data,
        partition: new Map(),
        key_metadata: null,
        split_offsets: null,
        equality_ids: null,
        sort_order_id: null,
        referenced_data_file: null,
      });
    }
    return written;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function compactAsProcess(folder: string, table: string): Promise<Compacted> {
  const { code, stdout, stderr, memory } = await runCoinlake([
    "maintain",
    "compact",
    "--table",
    table,
    "--data",
    folder,
    "--json",
  ]);
  if (code !== 0) throw new Error(`maintain ended with ${code}: ${stderr}`);
  const [report] = JSON.parse(stdout) as ActionReport[];
  if (report === undefined) throw new Error(`nothing was compacted in ${table}`);
  return {
    files: report.rewritten_files,
    input_mb: report.rewritten_bytes / 1e6,
    seconds: report.seconds,
    rss_mb: memory.process_mb,
  };
}

const COMMIT_RECORDS = 250;
const PAYLOAD_BYTES = 170;

/**
 * Bytes that compaction wrote for each byte that ingest wrote, over commits at the pipeline's interval in simulated
 * time.
 */
async function measureAmplification(commits: number): Promise<CompactionFigures["amplification"]> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const clock = new SimulatedClock(Date.UTC(2026, 0, 5) * 1000);
  const lake = await openSimulatedLake(folder, clock);
  const ingest = await openIngest(lake, clock);
  let [ingested_bytes, rewritten_bytes] = [0, 0];
  const schedule = scheduleMaintenance(lake, clock, (report) => void (rewritten_bytes += report.added_bytes));
  try {
    for (let commit = 0; commit < commits; commit += 1) {
      clock.advance(crypto.bronze.commit.interval_ms);
      const records = Array.from({ length: COMMIT_RECORDS }, (_, index) =>
        recordOf(commit * COMMIT_RECORDS + index, clock.now_us()),
      );
      await lake.log.append(crypto.topic.name, records);
      await ingest.drain();
      ingested_bytes += Number((await newestSummary(lake))["added-files-size"] ?? NaN);
      await schedule.pass(new AbortController().signal);
    }
    const live_files = Number((await newestSummary(lake))["total-data-files"]);
    return {
      commits,
      ingested_mb: ingested_bytes / 1e6,
      rewritten_mb: rewritten_bytes / 1e6,
      factor: (ingested_bytes + rewritten_bytes) / ingested_bytes,
      live_files,
    };
  } finally {
    ingest.close();
    await lake.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function newestSummary({ catalog }: OpenLake): Promise<Readonly<Record<string, string>>> {
  const { metadata } = await catalog.loadTable(tableNamed(crypto.bronze.table));
  return currentSnapshot(metadata)?.summary ?? {};
}

function recordOf(number: number, ingested_at_us: number) {
  const payload = Buffer.from(
    `{"e":"aggTrade","s":"BTCUSDT","a":${number},"p":"${60_000 + (number % 997)}.${number % 89}"`.padEnd(
      PAYLOAD_BYTES - 1,
      " ",
    ) + "}",
  );
  return { key: "btc", source: "bench", payload, ingested_at_us };
}

/** Runs Spark's procedure on the same files through the lake's REST catalog, after a warm-up on the small ones. */
async function compactWithSpark(folder: string, table: string, input_mb: number): Promise<CompactionFigures["spark"]> {
  try {
    return await withCluster(["spark"], (cluster) => rewriteWithSpark(cluster, folder, table, input_mb));
  } catch (error) {
    return { skipped: `Spark cannot be started here: ${messageOf(error)}` };
  }
}

async function rewriteWithSpark(
  { environment }: RunningCluster,
  folder: string,
  table: string,
  input_mb: number,
): Promise<CompactionFigures["spark"]> {
  const lake = openOrCreateLake(folder, { name: "bench", kind: "simulated", pipeline: crypto.name });
  const open = await openLake(lake);
  try {
    const { SparkSession } = await import("../src/spark/session.ts");
    const session = new SparkSession({ remote: environment["SPARK_REMOTE"] ?? "" });
    const settings = {
      "": "org.apache.iceberg.spark.SparkCatalog",
      ".type": "rest",
      ".uri": open.server.url,
      ".io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
      ".cache-enabled": "false",
    };
    for (const [name, value] of Object.entries(settings))
      await session.sql(`set \`spark.sql.catalog.bench${name}\` = ${value}`);
    await fill(open, "gold.warm_up", { files: 20, rows: 250 });
    const rewrite = (name: string) =>
      session.sql(
        `call bench.system.rewrite_data_files(table => '${name}', options => map('min-input-files', '2', ` +
          `'target-file-size-bytes', '${128 * 2 ** 20}'))`,
        { timeout_ms: null },
      );
    await rewrite("gold.warm_up");
    const started_ms = performance.now();
    const [result] = await rewrite(table);
    const seconds = (performance.now() - started_ms) / 1000;
    await session.release();
    return { seconds, mb_per_s: input_mb / seconds, files_after: Number(result?.["added_data_files_count"]) };
  } catch (error) {
    return { skipped: `Spark could not rewrite the table: ${messageOf(error)}` };
  } finally {
    await open.close();
  }
}
