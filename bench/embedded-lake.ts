import { crypto } from "../pipelines/crypto.ts";
import { simulated } from "../producers/simulated.ts";
import { systemClock } from "../src/base/clock.ts";
import type { Pacing } from "../src/base/pacing.ts";
import type { MakeDurable } from "../src/catalog/durable.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { createIngest, type Ingest, type IngestCommit } from "../src/ingest/ingest.ts";
import { openLake, type OpenLake } from "../src/lake/open.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { runProducer } from "../src/log/run-producer.ts";
import { embeddedEngine } from "../src/transform/engine.ts";
import { Transform } from "../src/transform/transform.ts";
import { DbtWorker } from "../src/transform/worker.ts";

/** A lake of the embedded profile with the crypto pipeline's ingest, and its models in a warm worker. */
export interface EmbeddedLake extends Pick<OpenLake, "lake" | "log" | "catalog"> {
  ingest: Ingest;
  transform: Transform;
  worker: DbtWorker;
  close(): Promise<void>;
}

export interface EmbeddedLakeOptions {
  /** Replaces the catalog's fsyncs. */
  makeDurable?: MakeDurable;
  /** Default: the pipeline's own. */
  pacing?: Pacing;
  /** How long the log keeps ingested records; by default for good. */
  retention_ms?: number;
  committed?(commit: IngestCommit): void;
}

/** Opens the lake of a data folder, and creates it there if it has none. */
export async function openEmbeddedLake(
  data_folder: string,
  { makeDurable, pacing = crypto.bronze.commit, retention_ms = Infinity, committed }: EmbeddedLakeOptions = {},
): Promise<EmbeddedLake> {
  const lake = openOrCreateLake(data_folder, { name: "simulated", kind: "simulated", pipeline: crypto.name });
  const open = await openLake(lake, makeDurable === undefined ? {} : { makeDurable });
  const { log, catalog, storage } = open;
  const records = await openParquetWriter({ storage });
  const worker = new DbtWorker({
    project: crypto.transform.project,
    engine: embeddedEngine(open),
    folder: lake.dbt_folder,
  });
  await log.createTopic(crypto.topic.name, 1);
  const [namespace = "", name = ""] = crypto.bronze.table.split(".");
  const ingest = createIngest({
    log,
    catalog,
    storage,
    records,
    table: { namespace: [namespace], name },
    topic: crypto.topic.name,
    clock: systemClock,
    limits: { ...crypto.bronze, pacing, retention_ms },
    committed,
  });
  return {
    lake,
    log,
    catalog,
    ingest,
    transform: new Transform({ pipeline: crypto, catalog, worker }),
    worker,
    async close() {
      await worker.close();
      records.close();
      await open.close();
    },
  };
}

/** Takes the simulated market's pages, one a minute, up to the step into gold. Returns the seconds of its models. */
export async function advanceMarket(
  { lake, log, ingest, transform }: EmbeddedLake,
  { coins, until_step }: { coins: number; until_step: number },
): Promise<number> {
  const producer = simulated({
    seed: 1,
    coins,
    interval_ms: 60_000,
    dirt_rate: 0.01,
    speed: "max",
    start_us: Date.UTC(2026, 0, 5) * 1000,
    until_step,
  });
  const { signal } = new AbortController();
  const topic = crypto.topic.name;
  await runProducer({ producer, log, topic, lake_folder: lake.folder, clock: systemClock, signal, report() {} });
  await ingest.drain();
  return (await transform.catchUp()).seconds;
}
