import { nameOfTable, tableNamed } from "../../src/iceberg/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import type { OpenLake } from "../../src/lake/open.ts";
import { createIngest } from "../../src/ingest/ingest.ts";
import { LAYERS } from "../../src/lake/layers.ts";
import { runProducer } from "../../src/log/run-producer.ts";
import { AT_ONCE } from "../../src/base/pacing.ts";
import type { Pipeline } from "../../src/pipeline/definition.ts";
import type { Producer } from "../../src/producer/producer.ts";
import { Transform } from "../../src/transform/transform.ts";
import type { DbtWorker } from "../../src/transform/worker.ts";

/** The operations of the recorded run and of the runs after a power cut, and their queries. */

const never = new AbortController().signal;

/** Appends what a source yields, until it ends. */
export async function append(
  open: OpenLake,
  { topic }: Pipeline,
  producer: Producer,
  appended: (records: number) => void = () => {},
): Promise<void> {
  await open.log.createTopic(topic.name, topic.partitions);
  await runProducer({
    producer,
    log: open.log,
    topic: topic.name,
    lake_folder: open.lake.folder,
    clock: systemClock,
    signal: never,
    report() {},
    appended,
  });
}

/** The number of records that the log has had. */
export async function recordsIn(open: OpenLake, { topic }: Pipeline): Promise<number> {
  await open.log.createTopic(topic.name, topic.partitions);
  return (await open.log.bounds(topic.name)).reduce((sum, { end }) => sum + end, 0);
}

export async function ingest({ log, catalog, storage }: OpenLake, { bronze, topic }: Pipeline): Promise<void> {
  const records = await openParquetWriter({ storage });
  try {
    const limits = { ...bronze, pacing: AT_ONCE, retention_ms: Infinity };
    const ingesting = createIngest({
      log,
      catalog,
      storage,
      records,
      table: tableNamed(bronze.table),
      topic: topic.name,
      clock: systemClock,
      limits,
    });
    await ingesting.drain();
  } finally {
    records.close();
  }
}

export async function build({ catalog }: OpenLake, pipeline: Pipeline, worker: DbtWorker): Promise<void> {
  await new Transform({ pipeline, catalog, worker }).catchUp();
}

export async function tableNames({ catalog }: OpenLake): Promise<string[]> {
  const names: string[] = [];
  for (const layer of LAYERS) {
    if (await catalog.hasNamespace([layer])) names.push(...(await catalog.listTables([layer])).map(nameOfTable));
  }
  return names;
}

/** Sequence numbers of the tables' latest snapshots; they only increase. */
export async function heads(open: OpenLake): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const name of await tableNames(open))
    found[name] = Number((await open.catalog.loadTable(tableNamed(name))).metadata["last-sequence-number"]);
  return found;
}

export interface Digests {
  /** All current rows, by table. */
  now: Record<string, string>;
  /** All rows of a table at a snapshot, by snapshot id. */
  at: Record<string, string>;
}

/** Reads every row of every table at every snapshot that `known` lacks. */
export async function digest(open: OpenLake, known: Digests["at"] = {}): Promise<Digests> {
  const duckdb = await openDuckDB();
  const connection = await duckdb.connect();
  try {
    await attachCatalog(connection, open.server.url, "lake", { is_read_only: true });
    const read = async (relation: string): Promise<string> => {
      const sql = `select count(*) || ' rows, ' || coalesce(sum(hash(t)::hugeint), 0) from (from ${relation}) as t`;
      return String((await connection.runAndReadAll(sql)).getRowsJson()[0]?.[0]);
    };
    const digests: Digests = { now: {}, at: { ...known } };
    for (const name of await tableNames(open)) {
      const { metadata } = await open.catalog.loadTable(tableNamed(name));
      for (const { "snapshot-id": id } of metadata.snapshots)
        digests.at[String(id)] ??= await read(`lake.${name} at (version => ${id})`);
      digests.now[name] = await read(`lake.${name}`);
    }
    return digests;
  } finally {
    connection.closeSync();
    duckdb.closeSync();
  }
}
