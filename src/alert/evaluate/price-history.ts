import { Staircase } from "./staircase.ts";

const SECOND_US = 1_000_000;

/** Ticks held for late ones to be judged by; beyond it the oldest second settles early. */
const MAX_RECENT_TICKS = 50_000;

interface Second {
  second: number;
  times: number[];
  values: bigint[];
  high: bigint;
  low: bigint;
}

/**
 * The prices of one subject, for the highest or lowest of a window that ends at a tick: at the newest, or at one that came late.
 * Staircases answer for windows that end with the newest tick. A late tick's window must not see what is later than the tick:
 * the ticks of the last minutes are therefore kept in seconds, and staircases of what is older than those (`settled`) answer
 * for the rest.
 */
export class PriceHistory {
  readonly #lateness_us: number;
  readonly #highest = new Staircase("highest");
  readonly #lowest = new Staircase("lowest");
  readonly #settled_highest = new Staircase("highest");
  readonly #settled_lowest = new Staircase("lowest");
  /** By time, oldest first. */
  readonly #recent: Second[] = [];
  #recent_ticks = 0;
  /** Ticks before this second are settled. */
  #settled_before = -Infinity;
  #newest_us = -Infinity;

  constructor(lateness_us: number) {
    this.#lateness_us = lateness_us;
  }

  /** False where the tick is too old to have a place: then it is not taken. */
  add(at_us: number, value: bigint, keep_us: number): boolean {
    const second = Math.floor(at_us / SECOND_US);
    if (second < this.#settled_before) return false;
    this.#newest_us = Math.max(this.#newest_us, at_us);
    this.#highest.add(at_us, value);
    this.#lowest.add(at_us, value);
    this.#remember(second, at_us, value);
    this.#settle(Math.floor((this.#newest_us - this.#lateness_us) / SECOND_US));
    const oldest_us = this.#newest_us - keep_us;
    this.#highest.forget(oldest_us);
    this.#lowest.forget(oldest_us);
    this.#settled_highest.forget(oldest_us - this.#lateness_us);
    this.#settled_lowest.forget(oldest_us - this.#lateness_us);
    return true;
  }

  /** Of all ticks taken with times from `at_us - window_us` to `at_us`, both included. */
  highest(at_us: number, window_us: number): bigint | null {
    const since_us = at_us - window_us;
    if (at_us >= this.#newest_us) return this.#highest.since(since_us);
    return this.#until(at_us, since_us, this.#settled_highest.since(since_us), true);
  }

  lowest(at_us: number, window_us: number): bigint | null {
    const since_us = at_us - window_us;
    if (at_us >= this.#newest_us) return this.#lowest.since(since_us);
    return this.#until(at_us, since_us, this.#settled_lowest.since(since_us), false);
  }

  #until(at_us: number, since_us: number, settled: bigint | null, is_highest: boolean): bigint | null {
    let extreme = settled;
    const consider = (value: bigint) => {
      if (extreme === null || (is_highest ? value > extreme : value < extreme)) extreme = value;
    };
    for (const { second, times, values, high, low } of this.#recent) {
      const from_us = second * SECOND_US;
      if (from_us > at_us) break;
      if (from_us + SECOND_US <= since_us) continue;
      if (from_us >= since_us && from_us + SECOND_US <= at_us) consider(is_highest ? high : low);
      else for (const [index, time] of times.entries()) if (time >= since_us && time <= at_us) consider(values[index] ?? 0n);
    }
    return extreme;
  }

  #remember(second: number, at_us: number, value: bigint): void {
    let index = this.#recent.length;
    while (index > 0 && (this.#recent[index - 1]?.second ?? 0) > second) index -= 1;
    const found = this.#recent[index - 1];
    this.#recent_ticks += 1;
    if (found?.second !== second) {
      this.#recent.splice(index, 0, { second, times: [at_us], values: [value], high: value, low: value });
      return;
    }
    found.times.push(at_us);
    found.values.push(value);
    if (value > found.high) found.high = value;
    if (value < found.low) found.low = value;
  }

  #settle(before: number): void {
    for (let [oldest] = this.#recent; oldest !== undefined; [oldest] = this.#recent) {
      const is_too_many = this.#recent_ticks > MAX_RECENT_TICKS && this.#recent.length > 1;
      if (oldest.second >= before && !is_too_many) break;
      const { times, values, second } = oldest;
      for (const index of times.keys()) {
        this.#settled_highest.add(times[index] ?? 0, values[index] ?? 0n);
        this.#settled_lowest.add(times[index] ?? 0, values[index] ?? 0n);
      }
      this.#recent_ticks -= times.length;
      this.#recent.shift();
      this.#settled_before = second + 1;
    }
    this.#settled_before = Math.max(this.#settled_before, before);
  }
}
