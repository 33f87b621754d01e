import { OperatingError } from "../src/base/errors.ts";
import { checkSpeed, Pace, type Speed } from "../src/producer/pace.ts";
import type { Batch, Producer, ProducerContext, SourceRecord } from "../src/producer/producer.ts";
import { waitUntil } from "../src/producer/wait.ts";
import { pageAt } from "./simulated/dirt.ts";
import { checkOptions, Market, type MarketOptions } from "./simulated/market.ts";

export interface SimulatedOptions {
  seed: number;
  coins: number;
  interval_ms: number;
  dirt_rate: number;
  /**
   * 1 is live: a step is due when the clock reaches its time, and steps missed while the process was down remain
   * missed, as with any source. Any other speed yields every step, from the end of the log.
   */
  speed: Speed;
  /** Time of step 0 in microseconds; defaults to the clock at the first start. */
  start_us?: number;
  /**
   * Length of the past of a live market, which the first start yields at once, so that queries have data from the
   * beginning.
   */
  history_ms: number;
  /** Ends before this step; endless if absent. */
  until_step?: number;
}

export const SIMULATED_DEFAULTS = {
  seed: 1,
  coins: 50,
  interval_ms: 5000,
  dirt_rate: 0.01,
  speed: 1,
  history_ms: 0,
} as const satisfies SimulatedOptions;

/** A page is about 40 kB, so this many pages make an append of about a megabyte. */
const MAX_BATCH_PAGES = 25;

interface Position {
  start_us: number;
  /** The next step. */
  step: number;
  /** Steps before this one are the market's past: the producer yields them without a pause and skips none. */
  history_steps: number;
}

/**
 * A seeded market in the page format of CoinGecko's /coins/markets, including dirt: one page per step. A page is a
 * function of the options, the start and the step, so a restart continues the same market. Throws a RangeError for
 * options out of bounds.
 */
export function simulated(options: Partial<SimulatedOptions> = {}): Producer {
  const complete: SimulatedOptions = { ...SIMULATED_DEFAULTS, ...options };
  checkSpeed(complete.speed);
  checkOptions(marketOptions(complete, complete.start_us ?? 0));
  return new Simulated(complete);
}

class Simulated implements Producer {
  readonly id: string;
  readonly kind = "simulated";
  readonly #options: SimulatedOptions;
  #done = 0;

  constructor(options: SimulatedOptions) {
    const { seed, coins, interval_ms, dirt_rate } = options;
    this.#options = options;
    // The name contains all options that determine the market: other options yield another market with a separate
    // start.
    this.id = `simulated:${[seed, coins, interval_ms, dirt_rate].join(":")}`;
  }

  async probe(): Promise<void> {}

  async *batches({ position, clock, signal }: ProducerContext): AsyncGenerator<Batch> {
    const { speed, until_step = Infinity } = this.#options;
    const { start_us, step: first_step, history_steps } = positionOf(position) ?? this.#opening(clock);
    const market = new Market(marketOptions(this.#options, start_us));
    const pace = typeof speed === "number" && speed !== 1 ? new Pace(clock, speed) : null;
    let step = first_step;
    this.#done = step;
    while (step < until_step && !signal.aborted) {
      const is_at_once = speed === "max" || step < history_steps;
      if (speed === 1 && !is_at_once) step = Math.min(Math.max(step, this.#stepOfNow(clock, start_us)), until_step - 1);
      const due_us = is_at_once ? -Infinity : (pace?.due_us(market.ingestedAt_us(step)) ?? market.ingestedAt_us(step));
      if (!(await waitUntil(clock, due_us, signal))) return;
      const until = is_at_once
        ? Math.min(step + MAX_BATCH_PAGES, speed === "max" ? until_step : history_steps)
        : step + 1;
      const records: SourceRecord[] = [];
      for (; step < until; step += 1) records.push(recordAt(market, step));
      yield { records, position: JSON.stringify({ start_us, step, history_steps } satisfies Position) };
      this.#done = step;
    }
  }

  #opening(clock: ProducerContext["clock"]): Position {
    const { start_us, interval_ms, speed, history_ms } = this.#options;
    const history_steps = speed === 1 ? Math.floor(history_ms / interval_ms) : 0;
    const opened_us = Math.floor(clock.now_us() / 1000) * 1000 - history_steps * interval_ms * 1000;
    return { start_us: start_us ?? opened_us, step: 0, history_steps };
  }

  #stepOfNow(clock: ProducerContext["clock"], start_us: number): number {
    return Math.floor((clock.now_us() - start_us) / (this.#options.interval_ms * 1000));
  }

  progress(): { done: number; total: number | null } {
    return { done: this.#done, total: this.#options.until_step ?? null };
  }
}

function recordAt(market: Market, step: number): SourceRecord {
  const { payload } = pageAt(market, step);
  return { key: "simulated", source: "simulated", payload, ingested_at_us: market.ingestedAt_us(step) };
}

function marketOptions({ seed, coins, interval_ms, dirt_rate }: SimulatedOptions, start_us: number): MarketOptions {
  return { seed, coins, interval_ms, dirt_rate, start_us };
}

/** A simulated market's position, for tests and tools that need its start and progress; null before the first step. */
export function positionOf(position: string | null): Position | null {
  if (position === null) return null;
  try {
    const { start_us, step, history_steps = 0 } = JSON.parse(position) as Partial<Position>;
    if (typeof start_us === "number" && typeof step === "number") return { start_us, step, history_steps };
  } catch (error) {
    throw unreadablePosition(position, error);
  }
  throw unreadablePosition(position, undefined);
}

function unreadablePosition(position: string, cause: unknown): OperatingError {
  return new OperatingError(
    "INVALID_POSITION",
    `The stored position of the simulated market makes no sense: ${position.slice(0, 100)}`,
    {
      next_step: "Start a new lake (another --data folder), or restore the log from a backup.",
      cause,
    },
  );
}
