import { simulated, type SimulatedOptions } from "../../producers/simulated.ts";
import { systemClock } from "../../src/base/clock.ts";
import { runProducer } from "../../src/log/run-producer.ts";
import { Lakes, TOPIC, type TestLake } from "../dbt/lake.ts";
import { SIMULATED_SOURCE, startRunning, type Running } from "../serve/running.ts";

export interface MarketOptions {
  coins: number;
  interval_ms: number;
  history_ms: number;
  /** Number of commits that the history spans: moments for time travel. */
  commits: number;
  /** Whether dbt's tests run over the lake, as in operation. */
  is_tested: boolean;
}

const SMALL: MarketOptions = { coins: 8, interval_ms: 10_000, history_ms: 150 * 60_000, commits: 3, is_tested: true };

/** A server with its dashboard over a real lake, which a simulated market continues to fill. */
export interface OpenMarket {
  running: Running;
  lake: TestLake;
  url: string;
  /** Starts the market: from now on one page of prices per step, which the live tail shows and nothing commits. */
  goLive(): void;
  close(): Promise<void>;
}

/** A market with history, in the log and in every layer. */
export async function openMarket(options: Partial<MarketOptions> = {}): Promise<OpenMarket> {
  const lakes = await Lakes.open();
  try {
    return await fill(lakes, options);
  } catch (error) {
    // An open worker would keep the test file from exiting.
    await lakes.close();
    throw error;
  }
}

async function fill(lakes: Lakes, options: Partial<MarketOptions>): Promise<OpenMarket> {
  const { coins, interval_ms, history_ms, commits, is_tested } = { ...SMALL, ...options };
  const lake = await lakes.fresh();
  const steps = Math.floor(history_ms / interval_ms);
  const start_us = systemClock.now_us() - steps * interval_ms * 1000;
  const market: Partial<SimulatedOptions> = {
    coins,
    interval_ms,
    dirt_rate: 0.05,
    start_us: Math.floor(start_us / 1000) * 1000,
  };
  for (let commit = 1; commit <= commits; commit += 1) {
    await produce(
      lake,
      { ...market, speed: "max", until_step: Math.floor((steps * commit) / commits) },
      AbortSignal.timeout(600_000),
    );
    await lake.ingest();
    await lake.catchUp();
  }
  const tests = is_tested ? { ran_at_us: systemClock.now_us(), result: await lake.dataTests() } : null;
  const running = await startRunning(lake);
  running.tests = tests;
  running.sources = [{ ...SIMULATED_SOURCE, heard_at_us: systemClock.now_us() }];
  await running.caughtUp();
  return serve(lakes, lake, running, market);
}

/** A server over an empty lake. */
export async function openEmpty(): Promise<OpenMarket> {
  const lakes = await Lakes.open();
  const lake = await lakes.fresh();
  const running = await startRunning(lake);
  running.sources = [];
  return serve(lakes, lake, running, {});
}

function serve(lakes: Lakes, lake: TestLake, running: Running, market: Partial<SimulatedOptions>): OpenMarket {
  const stopping = new AbortController();
  let producing: Promise<unknown> = Promise.resolve();
  return {
    running,
    lake,
    url: running.url,
    goLive() {
      const appended = () => {
        const heard_at_us = systemClock.now_us();
        running.sources = running.sources.map((source) =>
          source.source === SIMULATED_SOURCE.source ? { ...source, heard_at_us } : source,
        );
      };
      producing = produce(lake, { ...market, speed: 1 }, stopping.signal, appended);
    },
    async close() {
      stopping.abort();
      await producing;
      await running.close();
      await lakes.close();
    },
  };
}

/** Fills the lake's log from a simulated market, until its last step or until stopped. */
export async function produce(
  lake: TestLake,
  options: Partial<SimulatedOptions>,
  signal: AbortSignal,
  appended = () => {},
): Promise<void> {
  await runProducer({
    producer: simulated(options),
    log: lake.open.log,
    topic: TOPIC,
    lake_folder: lake.open.lake.folder,
    clock: systemClock,
    signal,
    report: () => {},
    appended,
  });
}
