import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "../pipelines/crypto.ts";
import { systemClock } from "../src/base/clock.ts";
import { openLake } from "../src/lake/open.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import { createIngest } from "../src/ingest/ingest.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { Transform } from "../src/transform/transform.ts";
import { embeddedEngine } from "../src/transform/engine.ts";
import { DbtWorker } from "../src/transform/worker.ts";
import { APPEND_RECORDS, START_MS, trade } from "./binance-trades.ts";
import { cpuSeconds } from "./load.ts";

export interface TradesFigures {
  /** Trades of one day that the lake holds at the start. */
  trades_before: number;
  /** Trades of one increment, over 15 seconds. */
  trades: number;
  increments: number;
  p50_s: number;
  max_s: number;
  /** Median of the worker's CPU seconds, which other work on the machine does not lengthen. */
  cpu_p50_s: number;
  /** Median seconds of each model. */
  models_s: Record<string, number>;
}

const INCREMENT_MS = 15_000;

/**
 * Measures dbt's time, in the warm worker, for 15 more seconds of trades in a lake that holds most of a day of them.
 * Reuses the lake of an earlier run in the same folder.
 */
export async function benchTrades({
  trades_before = 2_000_000,
  trades = 15_000,
  increments = 7,
  hours_before = 20,
  folder = mkdtempSync(join(tmpdir(), "coinlake-bench-")),
} = {}): Promise<TradesFigures> {
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
    const table = { namespace: [namespace], name };
    const limits = { ...crypto.bronze, pacing: crypto.bronze.commit, retention_ms: Infinity };
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
    const append = async (from: number, count: number, from_ms: number, span_ms: number) => {
      for (let begin = 0; begin < count; begin += APPEND_RECORDS) {
        const size = Math.min(APPEND_RECORDS, count - begin);
        const batch = Array.from({ length: size }, (_, index) =>
          trade(from + begin + index, from_ms + Math.floor(((begin + index) * span_ms) / count)),
        );
        await open.log.append(crypto.topic.name, batch);
      }
      await ingest.drain();
    };
    const span_ms = hours_before * 3_600_000;
    const [bounds] = await open.log.bounds(crypto.topic.name);
    const done = Math.max(0, (bounds?.end ?? 0) - trades_before) / trades;
    if (bounds?.end === 0) await append(0, trades_before, START_MS, span_ms);
    await transform.catchUp();
    const seconds: number[] = [];
    const cpu_seconds: number[] = [];
    const by_model = new Map<string, number[]>();
    for (let step = done; step < done + increments; step += 1) {
      await append(trades_before + step * trades, trades, START_MS + span_ms + step * INCREMENT_MS, INCREMENT_MS);
      const cpu_before_s = cpuSeconds([worker.pid ?? 0]);
      const { seconds: taken, nodes } = await transform.increment();
      seconds.push(taken);
      cpu_seconds.push(cpuSeconds([worker.pid ?? 0]) - cpu_before_s);
      for (const node of nodes) by_model.set(node.name, [...(by_model.get(node.name) ?? []), node.seconds]);
    }
    const models_s = Object.fromEntries([...by_model].map(([model, taken]) => [model, median(taken)]));
    return {
      trades_before,
      trades,
      increments,
      p50_s: median(seconds),
      max_s: Math.max(...seconds),
      cpu_p50_s: median(cpu_seconds),
      models_s,
    };
  } finally {
    await worker.close();
    records.close();
    await open.close();
    if (folder.startsWith(join(tmpdir(), "coinlake-bench-"))) rmSync(folder, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

if (import.meta.main) console.log(JSON.stringify(await benchTrades({ folder: process.argv[2] }), null, 2));
