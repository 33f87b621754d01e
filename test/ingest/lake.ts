import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { DuckDBConnection } from "@duckdb/node-api";
import { join } from "node:path";
import type { Catalog } from "../../src/catalog/catalog.ts";
import type { TableIdentifier } from "../../src/iceberg/model.ts";
import { systemClock } from "../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import { createIngest, type Ingest, type IngestOptions } from "../../src/ingest/ingest.ts";
import type { RecordWriter } from "../../src/ingest/record-writer.ts";
import type { Log } from "../../src/log/log.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { AT_ONCE } from "../../src/base/pacing.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { openLake, type Lake } from "../catalog/lake.ts";

export const TOPIC = "prices.raw";
export const TABLE: TableIdentifier = { namespace: ["bronze"], name: "ticks_raw" };
export const LIMITS = { pacing: AT_ONCE, commit_size_bytes: 64 * 1024 * 1024, retention_ms: Infinity };
export const START_US = Date.parse("2025-10-10T23:00:00Z") * 1000;

export interface BronzeRow {
  source: string;
  payload: string | null;
  payload_hex: string | null;
  payload_size_bytes: number | null;
  ingested_at_us: number;
  ingestion_date: string;
  log_topic: string;
  log_partition: number;
  log_offset: number;
}

export interface IngestLake extends Lake {
  log: Log;
  records: RecordWriter;
  storage: FileStorage;
  makeIngest(options?: Partial<IngestOptions>): Ingest;
  /** All rows by partition and offset, through the REST server. */
  rows(): Promise<BronzeRow[]>;
  /** Locations of all Parquet files on disk, including orphan files. */
  dataFiles(): Promise<string[]>;
}

export function recordOf(number: number, overrides: Partial<SourceRecord> = {}): SourceRecord {
  return {
    key: `key-${number % 7}`,
    source: `source-${number % 2}`,
    payload: Buffer.from(`{"n":${number}}`),
    ingested_at_us: START_US + number * 1000,
    ...overrides,
  };
}

export function recordsOf(from: number, to: number): SourceRecord[] {
  return Array.from({ length: to - from }, (_, i) => recordOf(from + i));
}

/** A lake with a log and bronze, in a temporary folder. */
export async function withIngestLake(
  body: (lake: IngestLake) => Promise<void>,
  { partitions = 3 } = {},
): Promise<void> {
  const lake = await openLake();
  const storage = new FileStorage();
  const log = openSqliteLog({ file: join(lake.folder, "log.sqlite") });
  const records = await openParquetWriter({ storage });
  try {
    await log.createTopic(TOPIC, partitions);
    await body({
      ...lake,
      storage,
      log,
      records,
      makeIngest: (options = {}) =>
        createIngest({
          log,
          catalog: lake.catalog,
          storage,
          records,
          table: TABLE,
          topic: TOPIC,
          clock: systemClock,
          limits: LIMITS,
          ...options,
        }),
      rows: async () => readBronze((await lake.serve()).url),
      dataFiles: async () => {
        const found: string[] = [];
        for await (const { location } of storage.list(lake.warehouse))
          if (location.endsWith(".parquet")) found.push(location);
        return found.sort();
      },
    });
  } finally {
    await log.close();
    records.close();
    await lake.close();
  }
}

/** DuckDB takes half a second to load its extensions, so all tests of a file share one connection. */
let shared: Promise<DuckDBConnection> | null = null;
let aliases = 0;

export async function readBronze(catalog_url: string): Promise<BronzeRow[]> {
  shared ??= openDuckDB().then((instance) => instance.connect());
  const connection = await shared;
  const alias = `lake_${(aliases += 1)}`;
  await attachCatalog(connection, catalog_url, alias);
  const reader = await connection.runAndReadAll(
    `select source, payload, hex(payload_bytes) as payload_hex, payload_size_bytes,
       epoch_us(ingested_at)::double as ingested_at_us, ingestion_date::varchar as ingestion_date,
       log_topic, log_partition, log_offset::double as log_offset
     from ${alias}.bronze.ticks_raw order by log_partition, log_offset`,
  );
  const rows = reader.getRowObjects();
  await connection.run(`detach ${alias}`);
  return rows as unknown as BronzeRow[];
}

/** The log's content as bronze rows: the expected result. */
export async function readLog(log: Log, topic = TOPIC): Promise<BronzeRow[]> {
  const rows: BronzeRow[] = [];
  for (const { partition, begin } of await log.bounds(topic)) {
    for (const record of await log.read(topic, partition, begin, { max_records: 1e9, max_bytes: 1e12 })) {
      const bytes = Buffer.from(record.payload);
      const text = bytes.toString("utf8");
      const is_text = Buffer.from(text).equals(bytes);
      rows.push({
        source: record.source,
        payload: is_text ? text : null,
        payload_hex: is_text ? null : bytes.toString("hex").toUpperCase(),
        payload_size_bytes: bytes.length,
        ingested_at_us: record.ingested_at_us,
        ingestion_date: new Date(record.ingested_at_us / 1000).toISOString().slice(0, 10),
        log_topic: topic,
        log_partition: partition,
        log_offset: record.offset,
      });
    }
  }
  return rows;
}

/** Delegates to a real catalog; tests replace the methods that should fail. */
export function faultyCatalog(
  catalog: Catalog,
  faults: Partial<Pick<Catalog, "commit" | "loadTable">>,
): IngestOptions["catalog"] {
  return {
    createNamespace: (namespace) => catalog.createNamespace(namespace),
    hasNamespace: (namespace) => catalog.hasNamespace(namespace),
    listTables: (namespace) => catalog.listTables(namespace),
    loadTable: (identifier) => catalog.loadTable(identifier),
    createTable: (request) => catalog.createTable(request),
    commit: (changes) => catalog.commit(changes),
    ...faults,
  };
}

/** Compares by value with a short message, because a diff of thousands of rows is unreadable. */
export function assertSameRows(actual: readonly BronzeRow[], expected: readonly BronzeRow[]): void {
  const at = Array.from({ length: Math.max(actual.length, expected.length) }, (_, i) => i).find(
    (i) => !isDeepStrictEqual({ ...actual[i] }, { ...expected[i] }),
  );
  if (at === undefined) return;
  const shown = (row: BronzeRow | undefined) => JSON.stringify(row ?? null).slice(0, 300);
  assert.fail(
    `${actual.length} rows for ${expected.length}; the first that differs is ${at}:\n` +
      `  is     ${shown(actual[at])}\n  should ${shown(expected[at])}`,
  );
}
