import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { appendTrades, START_MS, type TradeRange } from "./binance-trades.ts";
import { openEmbeddedLake, type EmbeddedLake } from "./embedded-lake.ts";
import { cpuSeconds } from "./load.ts";
import { percentile } from "./percentile.ts";
import { crypto } from "../pipelines/crypto.ts";

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
  const lake = await openEmbeddedLake(folder);
  try {
    const span_ms = hours_before * 3_600_000;
    const [bounds] = await lake.log.bounds(crypto.topic.name);
    const end = bounds?.end ?? 0;
    if (end === 0) await ingestTrades(lake, { first: 0, count: trades_before, from_ms: START_MS, span_ms });
    await lake.transform.catchUp();
    const done = Math.max(0, end - trades_before) / trades;
    const runs = [];
    for (let step = done; step < done + increments; step += 1) {
      const from_ms = START_MS + span_ms + step * INCREMENT_MS;
      await ingestTrades(lake, { first: trades_before + step * trades, count: trades, from_ms, span_ms: INCREMENT_MS });
      runs.push(await timeIncrement(lake));
    }
    const seconds = runs.map((run) => run.seconds);
    return {
      trades_before,
      trades,
      increments,
      p50_s: percentile(seconds, 0.5),
      max_s: Math.max(...seconds),
      cpu_p50_s: percentile(
        runs.map(({ cpu_s }) => cpu_s),
        0.5,
      ),
      models_s: medianByModel(runs.flatMap(({ nodes }) => nodes)),
    };
  } finally {
    await lake.close();
    if (folder.startsWith(join(tmpdir(), "coinlake-bench-"))) rmSync(folder, { recursive: true, force: true });
  }
}

async function ingestTrades({ log, ingest }: EmbeddedLake, range: TradeRange): Promise<void> {
  await appendTrades(log, range);
  await ingest.drain();
}

async function timeIncrement({ transform, worker }: EmbeddedLake) {
  const pids = [worker.pid ?? 0];
  const cpu_before_s = cpuSeconds(pids);
  const { seconds, nodes } = await transform.increment();
  return { seconds, nodes, cpu_s: cpuSeconds(pids) - cpu_before_s };
}

function medianByModel(nodes: readonly { name: string; seconds: number }[]): Record<string, number> {
  const by_model = Map.groupBy(nodes, ({ name }) => name);
  return Object.fromEntries(
    [...by_model].map(([model, runs]) => [
      model,
      percentile(
        runs.map(({ seconds }) => seconds),
        0.5,
      ),
    ]),
  );
}

if (import.meta.main) console.log(JSON.stringify(await benchTrades({ folder: process.argv[2] }), null, 2));
