import { crypto } from "../../pipelines/crypto.ts";
import { openReplay } from "../../producers/replay.ts";
import { nameOfTable, tableNamed } from "../../src/iceberg/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import type { OpenLake } from "../../src/lake/open.ts";
import { createIngest } from "../../src/ingest/ingest.ts";
import { LAYERS } from "../../src/lake/layers.ts";
import { runProducer } from "../../src/log/run-producer.ts";
import { AT_ONCE } from "../../src/base/pacing.ts";
import type { Producer } from "../../src/producer/producer.ts";
import { Transform } from "../../src/transform/transform.ts";
import type { DbtWorker } from "../../src/transform/worker.ts";

/** The operations of the recorded run and of the runs after a power cut, and their queries. */

export const TOPIC = crypto.topic.name;
const APPENDED_RECORDS = 5;
const never = new AbortController().signal;

/** The name that `start` gives to the lake of a recording `market-<seed>.jsonl`. */
export function lakeOf(seed: number) {
  return { name: `replay-market-${seed}`, kind: "replay", pipeline: crypto.name } as const;
}

/** Appends the recording up to a record, in many small appends. */
export async function append(
  open: OpenLake,
  recording: string,
  until: number,
  appended: (records: number) => void = () => {},
): Promise<void> {
  const whole = await openReplay({ file: recording, speed: "max" });
  const pieces: Producer = {
    id: whole.id,
    kind: whole.kind,
    probe: (signal) => whole.probe(signal),
    async *batches(context) {
      let done = context.position === null ? 0 : (JSON.parse(context.position) as { records: number }).records;
      for await (const batch of whole.batches(context)) {
        for (let from = 0; from < batch.records.length && done < until; from += APPENDED_RECORDS) {
          const records = batch.records.slice(from, Math.min(from + APPENDED_RECORDS, from + until - done));
          done += records.length;
          yield { records, position: JSON.stringify({ records: done }) };
        }
        if (done >= until) return;
      }
    },
  };
  await open.log.createTopic(TOPIC, crypto.topic.partitions);
  await runProducer({
    producer: pieces,
    log: open.log,
    topic: TOPIC,
    lake_folder: open.lake.folder,
    clock: systemClock,
    signal: never,
    report() {},
    appended,
  });
}

export async function ingest({ log, catalog, storage }: OpenLake): Promise<void> {
  const records = await openParquetWriter({ storage });
  try {
    const limits = { ...crypto.bronze, pacing: AT_ONCE, retention_ms: Infinity };
    const ingesting = createIngest({
      log,
      catalog,
      storage,
      records,
      table: tableNamed(crypto.bronze.table),
      topic: TOPIC,
      clock: systemClock,
      limits,
    });
    await ingesting.drain();
  } finally {
    records.close();
  }
}

export async function build({ catalog }: OpenLake, worker: DbtWorker): Promise<void> {
  await new Transform({ pipeline: crypto, catalog, worker }).catchUp();
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
