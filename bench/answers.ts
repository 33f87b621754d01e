import { setTimeout as wait } from "node:timers/promises";
import { produce } from "../test/browser/market.ts";
import { Lakes } from "../test/dbt/lake.ts";
import { startRunning } from "../test/serve/running.ts";
import { fillLargeLake } from "./large-lake.ts";
import { percentile } from "./percentile.ts";

export interface AnswerFigures {
  rows: number;
  /**
   * For each question: milliseconds until the first answer (`made_ms`), and the response times of repeated requests.
   */
  answers: { number: number; made_ms: number; p50_ms: number; p99_ms: number }[];
  /** Hourly candles of one coin over 30 days: the first request of a coin, and repeated requests. */
  candles: { made_ms: number; p50_ms: number; p99_ms: number };
}

interface Options {
  coins: number;
  days: number;
  asks: number;
}

const UNTIL = "2026-11-01T00:00:00Z";
const PAUSE_MS = 20;

/** Measures the running server over a large lake, by sequential HTTP requests. */
export async function benchAnswers({
  coins = 200,
  days = 35,
  asks = 200,
}: Partial<Options> = {}): Promise<AnswerFigures> {
  const lakes = await Lakes.open();
  try {
    const lake = await lakes.fresh();
    // The pipeline creates the tables from the last minutes of the days that fill them later.
    const start_us = Date.parse(UNTIL) * 1000 - 5 * 60_000_000;
    await produce(
      lake,
      { coins: 10, interval_ms: 10_000, dirt_rate: 0, start_us, speed: "max", until_step: 25 },
      AbortSignal.timeout(600_000),
    );
    await lake.ingest();
    await lake.catchUp();
    await fillLargeLake(lake.open, { coins, days, until: UNTIL });
    const running = await startRunning(lake);
    try {
      const answers: AnswerFigures["answers"] = [];
      for (const number of [1, 2, 3, 4, 5])
        answers.push({ number, ...(await ask(`${running.url}/api/answers/${number}`, asks)) });
      const candlesOf = (coin: number) => `${running.url}/api/coins/coin-${coin}/candles?interval=1h&limit=720`;
      const made_ms: number[] = [];
      for (let coin = 10; coin < 30; coin += 1) made_ms.push((await ask(candlesOf(coin), 0)).made_ms);
      const candles = { ...(await ask(candlesOf(7), asks)), made_ms: percentile(made_ms, 0.5) };
      return { rows: coins * days * 1440, answers, candles };
    } finally {
      await running.close();
    }
  } finally {
    await lakes.close();
  }
}

async function ask(url: string, asks: number): Promise<{ made_ms: number; p50_ms: number; p99_ms: number }> {
  const times_ms: number[] = [];
  for (let index = 0; index <= asks; index += 1) {
    const started_ms = performance.now();
    const response = await fetch(url);
    const text = await response.text();
    if (!response.ok) throw new Error(`${url}: ${text}`);
    times_ms.push(performance.now() - started_ms);
    await wait(PAUSE_MS);
  }
  const [made_ms = NaN, ...again_ms] = times_ms;
  return { made_ms, p50_ms: percentile(again_ms, 0.5), p99_ms: percentile(again_ms, 0.99) };
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await benchAnswers(), null, 2)}\n`);
