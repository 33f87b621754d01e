import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "../pipelines/crypto.ts";
import { simulated } from "../producers/simulated.ts";
import type { MakeDurable } from "../src/catalog/durable.ts";
import { systemClock } from "../src/base/clock.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { openLake } from "../src/lake/open.ts";
import { createIngest } from "../src/ingest/ingest.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { runProducer } from "../src/log/run-producer.ts";
import { embeddedEngine } from "../src/transform/engine.ts";
import { Transform } from "../src/transform/transform.ts";
import { DbtWorker } from "../src/transform/worker.ts";
import { percentile } from "./percentile.ts";

export interface DurableFigures {
  commits: number;
  commit_p50_ms: number;
  commit_p99_ms: number;
  ingest_commit_p50_ms: number;
  increment_p50_s: number;
  increment_max_s: number;
}

/**
 * Measures the cost of durable silver and gold: the same increments with and without the catalog's fsyncs, on separate
 * lakes.
 */
export async function benchDurable(
  size: Partial<typeof SIZE> = {},
): Promise<Record<"without" | "durable", DurableFigures>> {
  const without = await measure(async () => {}, { ...SIZE, ...size });
  return { without, durable: await measure(undefined, { ...SIZE, ...size }) };
}

const SIZE = { coins: 250, minutes_before: 240, increments: 15 };

async function measure(
  makeDurable: MakeDurable | undefined,
  { coins, minutes_before, increments }: typeof SIZE,
): Promise<DurableFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const lake = openOrCreateLake(folder, { name: "simulated", kind: "simulated", pipeline: crypto.name });
  const open = await openLake(lake, makeDurable === undefined ? {} : { makeDurable });
  const commit_ms: number[] = [];
  const commit = open.catalog.commit.bind(open.catalog);
  open.catalog.commit = async (changes) => {
    const started_ms = performance.now();
    const loaded = await commit(changes);
    commit_ms.push(performance.now() - started_ms);
    return loaded;
  };
  const records = await openParquetWriter({ storage: open.storage });
  const worker = new DbtWorker({
    project: crypto.transform.project,
    engine: embeddedEngine(open),
    folder: open.lake.dbt_folder,
  });
  try {
    await open.log.createTopic(crypto.topic.name, 1);
    const [namespace = "", name = ""] = crypto.bronze.table.split(".");
    const limits = { ...crypto.bronze, pacing: crypto.bronze.commit, retention_ms: Infinity };
    const { log, catalog, storage } = open;
    const ingest_ms: number[] = [];
    const committed = ({ duration_ms }: { duration_ms: number }): void => void ingest_ms.push(duration_ms);
    const table = { namespace: [namespace], name };
    const ingest = createIngest({
      log,
      catalog,
      storage,
      records,
      table,
      topic: crypto.topic.name,
      clock: systemClock,
      limits,
      committed,
    });
    const transform = new Transform({ pipeline: crypto, catalog, worker });
    const start_us = Date.UTC(2026, 0, 5, 0, 0) * 1000;
    const advance = async (until_step: number): Promise<number> => {
      const producer = simulated({
        seed: 1,
        coins,
        interval_ms: 60_000,
        dirt_rate: 0.01,
        speed: "max",
        start_us,
        until_step,
      });
      await runProducer({
        producer,
        log,
        topic: crypto.topic.name,
        clock: systemClock,
        signal: new AbortController().signal,
        report() {},
      });
      await ingest.drain();
      return (await transform.catchUp()).seconds;
    };
    await advance(minutes_before);
    commit_ms.length = 0;
    ingest_ms.length = 0;
    const seconds: number[] = [];
    for (let step = 1; step <= increments; step += 1) seconds.push(await advance(minutes_before + step));
    return {
      commits: commit_ms.length,
      commit_p50_ms: rounded(percentile(commit_ms, 0.5)),
      commit_p99_ms: rounded(percentile(commit_ms, 0.99)),
      ingest_commit_p50_ms: rounded(percentile(ingest_ms, 0.5)),
      increment_p50_s: rounded(percentile(seconds, 0.5)),
      increment_max_s: rounded(Math.max(...seconds)),
    };
  } finally {
    await worker.close();
    records.close();
    await open.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

if (import.meta.main) console.log(JSON.stringify(await benchDurable(), null, 2));
