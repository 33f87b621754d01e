import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "../pipelines/crypto.ts";
import { simulated } from "../producers/simulated.ts";
import { systemClock } from "../src/base/clock.ts";
import { openLake } from "../src/lake/open.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { createIngest } from "../src/ingest/ingest.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { runProducer } from "../src/log/run-producer.ts";
import { Transform } from "../src/transform/transform.ts";
import { embeddedEngine } from "../src/transform/engine.ts";
import { DbtWorker } from "../src/transform/worker.ts";

export interface IncrementFigures {
  /** Coins per page; one page is one minute. */
  coins: number;
  minutes_before: number;
  increments: number;
  p50_s: number;
  max_s: number;
}

/**
 * Measures dbt's time, in the warm worker, for one more minute of 250 coins in a lake that already has hours of them.
 */
export async function benchIncrement({
  coins = 250,
  minutes_before = 240,
  increments = 15,
} = {}): Promise<IncrementFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const open = await openLake(
    openOrCreateLake(folder, { name: "simulated", kind: "simulated", pipeline: crypto.name }),
  );
  const records = await openParquetWriter({ storage: open.storage });
  const worker = new DbtWorker({
    project: crypto.transform.project,
    engine: embeddedEngine(open),
    folder: open.lake.dbt_folder,
  });
  try {
    await open.log.createTopic(crypto.topic.name, 1);
    const [namespace = "", name = ""] = crypto.bronze.table.split(".");
    const ingest = createIngest({
      log: open.log,
      catalog: open.catalog,
      storage: open.storage,
      records,
      table: { namespace: [namespace], name },
      topic: crypto.topic.name,
      clock: systemClock,
      limits: { ...crypto.bronze, pacing: crypto.bronze.commit, retention_ms: Infinity },
    });
    const transform = new Transform({ pipeline: crypto, catalog: open.catalog, worker });
    const start_us = Date.UTC(2026, 0, 5, 0, 0) * 1000;
    const advance = async (until_step: number) => {
      const producer = simulated({
        seed: 1,
        coins,
        interval_ms: 60_000,
        dirt_rate: 0.01,
        speed: "max",
        start_us,
        until_step,
      });
      const signal = new AbortController().signal;
      await runProducer({ producer, log: open.log, topic: crypto.topic.name, clock: systemClock, signal, report() {} });
      await ingest.drain();
      return (await transform.catchUp()).seconds;
    };
    await advance(minutes_before);
    const seconds: number[] = [];
    for (let step = 1; step <= increments; step += 1) seconds.push(await advance(minutes_before + step));
    const sorted = seconds.sort((a, b) => a - b);
    return { coins, minutes_before, increments, p50_s: sorted[sorted.length >> 1] ?? NaN, max_s: sorted.at(-1) ?? NaN };
  } finally {
    await worker.close();
    records.close();
    await open.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) console.log(JSON.stringify(await benchIncrement(), null, 2));
