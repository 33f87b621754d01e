import type { Tick } from "../../pipeline/definition.ts";
import { compareEvents } from "../../pipeline/event-order.ts";

export const MINUTE_US = 60_000_000;

interface Minute {
  amount: bigint;
  /** The last tick in event order. */
  close: Tick;
}

/** Versions are unique across histories, because a subject may be removed and return with a new history. */
let last_version = 0;

/** The amount traded and the last price of one subject, minute by minute. */
export class MinuteHistory {
  readonly #minutes = new Map<number, Minute>();
  #newest = -Infinity;
  #version = (last_version += 1);

  /** The minute of the newest tick. */
  get newest(): number {
    return this.#newest;
  }

  /** Changes whenever a minute before the newest one changes, which invalidates sums over them. */
  get version(): number {
    return this.#version;
  }

  add(tick: Tick, keep_minutes: number): void {
    const minute = Math.floor(tick.at_us / MINUTE_US);
    if (minute !== this.#newest) this.#version = last_version += 1;
    if (minute > this.#newest) {
      this.#newest = minute;
      // Keys are in insertion order, close to time order: a minute from a late tick may stay a little longer.
      for (const old of this.#minutes.keys()) {
        if (old >= minute - keep_minutes) break;
        this.#minutes.delete(old);
      }
    }
    const found = this.#minutes.get(minute);
    if (found === undefined) {
      this.#minutes.set(minute, { amount: tick.amount ?? 0n, close: tick });
      return;
    }
    found.amount += tick.amount ?? 0n;
    if (compareEvents(tick, found.close) >= 0) found.close = tick;
  }

  /** The sum over `count` minutes from `first` on. */
  amount(first: number, count: number): bigint {
    let sum = 0n;
    for (let minute = first; minute < first + count; minute += 1) sum += this.#minutes.get(minute)?.amount ?? 0n;
    return sum;
  }

  /** ln(close / close of the minute before) for those of `count` minutes from `first` on that have both. */
  logReturns(first: number, count: number): number[] {
    const returns: number[] = [];
    for (let minute = first; minute < first + count; minute += 1) {
      const [before, now] = [this.#minutes.get(minute - 1), this.#minutes.get(minute)];
      if (!before || !now) continue;
      const [close_before, close] = [before.close.value, now.close.value];
      if (close_before > 0n && close > 0n) returns.push(Math.log(Number(close) / Number(close_before)));
    }
    return returns;
  }
}
