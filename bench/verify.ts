import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "../pipelines/crypto.ts";
import { Catalog } from "../src/catalog/catalog.ts";
import { SqliteChecksums } from "../src/catalog/sqlite/checksums.ts";
import { SqliteStore } from "../src/catalog/sqlite/store.ts";
import { systemClock } from "../src/base/clock.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { openLake } from "../src/lake/open.ts";
import { ChecksumLedger } from "../src/catalog/checksum-ledger.ts";
import { createIngest, type Ingest } from "../src/ingest/ingest.ts";
import { openOrCreateLake, rememberAsCurrent } from "../src/lake/lake.ts";
import type { Log } from "../src/log/log.ts";
import { openSqliteLog } from "../src/log/sqlite/log.ts";
import { AT_ONCE } from "../src/base/pacing.ts";
import { locationOfPath } from "../src/storage/file/location.ts";
import { FileStorage } from "../src/storage/file/storage.ts";
import { embeddedEngine } from "../src/transform/engine.ts";
import { Transform } from "../src/transform/transform.ts";
import { DbtWorker } from "../src/transform/worker.ts";
import { APPEND_RECORDS, START_MS, trade } from "./binance-trades.ts";
import { percentile } from "./percentile.ts";
import { runCoinlake } from "./process.ts";

export interface VerifyFigures {
  rows: number;
  quick: { seconds: number; code: number | null; node_mb: number; tree_mb: number };
  deep: { seconds: number; code: number | null; node_mb: number; tree_mb: number };
  /** Commits of 250 records with and without checksums, in alternation; milliseconds. */
  commit: { without_ms: number; with_ms: number; checksums_ms: number };
}

const DAY_MS = 86_400_000;
const COMMITS = 100;
const COMMIT_RECORDS = 250;

/**
 * Runs `verify` and `verify --deep` as processes over a lake with this many rows in bronze; reuses a lake that the
 * folder has from an earlier run.
 */
export async function benchVerify({
  rows = 10_000_000,
  days = 10,
  folder = null as string | null,
} = {}): Promise<VerifyFigures> {
  const lake_folder = folder ?? mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  try {
    await fill(lake_folder, rows, days);
    const quick = await runCoinlake(["verify", "--data", lake_folder]);
    const deep = await runCoinlake(["verify", "--deep", "--data", lake_folder]);
    for (const { code, stderr } of [quick, deep]) if (code !== 0) process.stderr.write(`${stderr}\n`);
    const figuresOf = ({ seconds, code, memory }: typeof quick) => ({
      seconds,
      code,
      node_mb: memory.process_mb,
      tree_mb: memory.tree_mb,
    });
    return { rows, quick: figuresOf(quick), deep: figuresOf(deep), commit: await benchCommits() };
  } finally {
    if (folder === null) rmSync(lake_folder, { recursive: true, force: true });
  }
}

async function fill(folder: string, rows: number, days: number): Promise<void> {
  if (existsSync(join(folder, "current"))) return;
  const lake = openOrCreateLake(folder, { name: "simulated", kind: "simulated", pipeline: crypto.name });
  const open = await openLake(lake);
  const records = await openParquetWriter({ storage: open.storage });
  const worker = new DbtWorker({
    project: crypto.transform.project,
    engine: embeddedEngine(open),
    folder: lake.dbt_folder,
  });
  try {
    await open.log.createTopic(crypto.topic.name, 1);
    const [namespace = "", name = ""] = crypto.bronze.table.split(".");
    const limits = { ...crypto.bronze, pacing: AT_ONCE, retention_ms: 0 };
    const table = { namespace: [namespace], name };
    const ingest = createIngest({
      log: open.log,
      catalog: open.catalog,
      storage: open.storage,
      records,
      table,
      topic: crypto.topic.name,
      clock: systemClock,
      limits,
    });
    const transform = new Transform({ pipeline: crypto, catalog: open.catalog, worker });
    for (let begin = 0; begin < rows; begin += APPEND_RECORDS) {
      const size = Math.min(APPEND_RECORDS, rows - begin);
      const at_ms = (index: number) => START_MS + Math.floor(((begin + index) * days * DAY_MS) / rows);
      await open.log.append(
        crypto.topic.name,
        Array.from({ length: size }, (_, index) => trade(begin + index, at_ms(index))),
      );
      if (begin % (APPEND_RECORDS * 64) === 0) await ingest.drain();
    }
    await ingest.drain();
    await transform.catchUp();
    rememberAsCurrent(folder, lake);
  } finally {
    await worker.close();
    records.close();
    await open.close();
  }
}

/** Commits alternately to two lakes, of which one records checksums, so that other load on the machine affects both. */
async function benchCommits(): Promise<VerifyFigures["commit"]> {
  const [bare, recording] = [await openBench(false), await openBench(true)];
  const without_ms: number[] = [];
  const with_ms: number[] = [];
  try {
    for (let commit = 0; commit < COMMITS; commit += 1) {
      without_ms.push(await timeCommit(bare, commit));
      with_ms.push(await timeCommit(recording, commit));
    }
    return {
      without_ms: percentile(without_ms, 0.5),
      with_ms: percentile(with_ms, 0.5),
      checksums_ms: percentile(recording.checksums_ms, 0.5),
    };
  } finally {
    await bare.close();
    await recording.close();
  }
}

interface BenchLake {
  log: Log;
  ingest: Ingest;
  /** Durations of the work after a commit. */
  checksums_ms: number[];
  close(): Promise<void>;
}

async function openBench(is_recording: boolean): Promise<BenchLake> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const storage = new FileStorage();
  const file = join(folder, "catalog.db");
  const store = new SqliteStore(file);
  const ledger = is_recording ? new ChecksumLedger(storage, new SqliteChecksums(file)) : null;
  const checksums_ms: number[] = [];
  const committed = async (tables: Parameters<ChecksumLedger["record"]>[0]) => {
    const started_ms = performance.now();
    await ledger?.record(tables);
    checksums_ms.push(performance.now() - started_ms);
  };
  const catalog = new Catalog({ store, storage, warehouse: locationOfPath(join(folder, "warehouse")), committed });
  const log = openSqliteLog({ file: join(folder, "log.db") });
  const records = await openParquetWriter({ storage });
  await log.createTopic(crypto.topic.name, 1);
  const limits = { pacing: AT_ONCE, commit_size_bytes: 64 * 1024 * 1024, retention_ms: Infinity };
  const table = { namespace: ["bronze"], name: "bench" };
  const ingest = createIngest({
    log,
    catalog,
    storage,
    records,
    table,
    topic: crypto.topic.name,
    clock: systemClock,
    limits,
  });
  return {
    log,
    ingest,
    checksums_ms,
    async close() {
      records.close();
      await log.close();
      await catalog.close();
      await ledger?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function timeCommit({ log, ingest }: BenchLake, commit: number): Promise<number> {
  const records = Array.from({ length: COMMIT_RECORDS }, (_, index) =>
    trade(commit * COMMIT_RECORDS + index, START_MS + commit),
  );
  await log.append(crypto.topic.name, records);
  const started_ms = performance.now();
  await ingest.runOnce();
  return performance.now() - started_ms;
}
