import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { AT_ONCE } from "../src/base/pacing.ts";
import { Catalog } from "../src/catalog/catalog.ts";
import { ChecksumLedger } from "../src/catalog/checksum-ledger.ts";
import { SqliteChecksums } from "../src/catalog/sqlite/checksums.ts";
import { SqliteStore } from "../src/catalog/sqlite/store.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { createIngest, type Ingest } from "../src/ingest/ingest.ts";
import type { Log } from "../src/log/log.ts";
import { openSqliteLog } from "../src/log/sqlite/log.ts";
import type { SourceRecord } from "../src/producer/producer.ts";
import { locationOfPath } from "../src/storage/file/location.ts";
import { FileStorage } from "../src/storage/file/storage.ts";

/** The topic and the bronze table of benchmarks that have no pipeline. */
export const TOPIC = "bench";
export const TABLE = { namespace: ["bronze"], name: "bench" };
export const COMMIT_SIZE_BYTES = 64 * 1024 * 1024;

const PAYLOAD_BYTES = 170;

/** A log in SQLite and its ingest into one table on disk, without a pipeline, in a folder that `close` removes. */
export interface BareIngest {
  log: Log;
  ingest: Ingest;
  /** Milliseconds that the checksums of each commit took. */
  checksums_ms: readonly number[];
  close(): Promise<void>;
}

export async function openBareIngest({ has_checksums }: { has_checksums: boolean }): Promise<BareIngest> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const storage = new FileStorage();
  const file = join(folder, "catalog.db");
  const ledger = has_checksums ? new ChecksumLedger(storage, new SqliteChecksums(file)) : null;
  const checksums_ms: number[] = [];
  const catalog = new Catalog({
    store: new SqliteStore(file),
    storage,
    warehouse: locationOfPath(join(folder, "warehouse")),
    async committed(tables) {
      const started_ms = performance.now();
      await ledger?.record(tables);
      checksums_ms.push(performance.now() - started_ms);
    },
  });
  const log = openSqliteLog({ file: join(folder, "log.db") });
  const records = await openParquetWriter({ storage });
  await log.createTopic(TOPIC, 1);
  const limits = { pacing: AT_ONCE, commit_size_bytes: COMMIT_SIZE_BYTES, retention_ms: Infinity };
  const ingest = createIngest({
    log,
    catalog,
    storage,
    records,
    table: TABLE,
    topic: TOPIC,
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

/** A message of 170 bytes: number `number` of all. */
export function bareRecord(number: number): SourceRecord {
  const payload = Buffer.from(
    `{"e":"aggTrade","s":"BTCUSDT","a":${number},"p":"${60_000 + (number % 997)}.${number % 89}"`.padEnd(
      PAYLOAD_BYTES - 1,
      " ",
    ) + "}",
  );
  return { key: "btc", source: "bench", payload, ingested_at_us: 1_760_000_000_000_000 + number * 100 };
}
