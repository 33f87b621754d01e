import { compareEvents, type EventPosition } from "../../pipeline/event-order.ts";
import { SlidingMaximum } from "./sliding-maximum.ts";
import { TicksInOrder } from "./ticks-in-order.ts";

const SECOND_US = 1_000_000;

/** Ticks held for late ones to be judged by; beyond it the oldest second settles early. */
const MAX_RECENT_TICKS = 50_000;

type Priced = EventPosition & { value: bigint };

/** What is told of the ticks of one second without looking at each. */
interface Second {
  second: number;
  ticks: number;
  high: bigint;
  low: bigint;
}

/**
 * The prices of one subject, for the highest or lowest of a window that ends with a tick: with the newest in the order of events, or with
 * one that came late. Of the ticks of the same moment the window has those that come before it.
 * SlidingMaximum answer for windows that end with the newest tick. A late tick's window must not see what is later than the tick:
 * the ticks of the last minutes are therefore kept, summed up by seconds, and staircases of what is older than those (`settled`) answer
 * for the rest.
 */
export class PriceHistory {
  readonly #lateness_us: number;
  readonly #highest = new SlidingMaximum("highest");
  readonly #lowest = new SlidingMaximum("lowest");
  readonly #settled_highest = new SlidingMaximum("highest");
  readonly #settled_lowest = new SlidingMaximum("lowest");
  readonly #recent = new TicksInOrder();
  /** Of the recent ticks, oldest first. */
  readonly #seconds: Second[] = [];
  /** Ticks before this second are settled. */
  #settled_before = -Infinity;
  #newest: EventPosition | null = null;

  constructor(lateness_us: number) {
    this.#lateness_us = lateness_us;
  }

  /** False where the tick is too old to have a place: then it is not taken. */
  add(tick: Priced, keep_us: number): boolean {
    const { at_us, value } = tick;
    const second = Math.floor(at_us / SECOND_US);
    if (second < this.#settled_before) return false;
    if (this.#newest === null || compareEvents(tick, this.#newest) > 0) this.#newest = tick;
    const newest_us = this.#newest.at_us;
    this.#highest.add(at_us, value);
    this.#lowest.add(at_us, value);
    this.#remember(second, tick);
    this.#settle(Math.floor((newest_us - this.#lateness_us) / SECOND_US));
    const oldest_us = newest_us - keep_us;
    this.#highest.forget(oldest_us);
    this.#lowest.forget(oldest_us);
    // The last second that is not settled yet may hold ticks that are later still.
    const oldest_settled_us = oldest_us - this.#lateness_us - SECOND_US;
    this.#settled_highest.forget(oldest_settled_us);
    this.#settled_lowest.forget(oldest_settled_us);
    return true;
  }

  /** Of all ticks taken from `window_us` before the given one, that moment included, to the given one, itself included. */
  highest(last: EventPosition, window_us: number): bigint | null {
    const since_us = last.at_us - window_us;
    if (this.#isNewest(last)) return this.#highest.since(since_us);
    return this.#until(last, since_us, this.#settled_highest.since(since_us), true);
  }

  lowest(last: EventPosition, window_us: number): bigint | null {
    const since_us = last.at_us - window_us;
    if (this.#isNewest(last)) return this.#lowest.since(since_us);
    return this.#until(last, since_us, this.#settled_lowest.since(since_us), false);
  }

  #isNewest(position: EventPosition): boolean {
    return this.#newest === null || compareEvents(position, this.#newest) >= 0;
  }

  #until(last: EventPosition, since_us: number, settled: bigint | null, is_highest: boolean): bigint | null {
    const { at_us } = last;
    let extreme = settled;
    const consider = (value: bigint) => {
      if (extreme === null || (is_highest ? value > extreme : value < extreme)) extreme = value;
    };
    let index = 0;
    for (const { second, ticks, high, low } of this.#seconds) {
      const from_us = second * SECOND_US;
      if (from_us > at_us) break;
      const end = index + ticks;
      if (from_us >= since_us && from_us + SECOND_US <= at_us) consider(is_highest ? high : low);
      else if (from_us + SECOND_US > since_us) {
        for (let tick = index; tick < end; tick += 1) {
          const time = this.#recent.time(tick);
          if (time >= since_us && this.#recent.compare(tick, last) <= 0) consider(this.#recent.value(tick));
        }
      }
      index = end;
    }
    return extreme;
  }

  #remember(second: number, tick: Priced): void {
    const { value } = tick;
    this.#recent.add(tick, value);
    let index = this.#seconds.length;
    while (index > 0 && (this.#seconds[index - 1]?.second ?? 0) > second) index -= 1;
    const found = this.#seconds[index - 1];
    if (found?.second !== second) {
      this.#seconds.splice(index, 0, { second, ticks: 1, high: value, low: value });
      return;
    }
    found.ticks += 1;
    if (value > found.high) found.high = value;
    if (value < found.low) found.low = value;
  }

  #settle(before: number): void {
    for (let [oldest] = this.#seconds; oldest !== undefined; [oldest] = this.#seconds) {
      const is_too_many = this.#recent.count > MAX_RECENT_TICKS && this.#seconds.length > 1;
      if (oldest.second >= before && !is_too_many) break;
      for (let tick = 0; tick < oldest.ticks; tick += 1) {
        this.#settled_highest.add(this.#recent.time(tick), this.#recent.value(tick));
        this.#settled_lowest.add(this.#recent.time(tick), this.#recent.value(tick));
      }
      this.#recent.drop(oldest.ticks);
      this.#seconds.shift();
      this.#settled_before = oldest.second + 1;
    }
    this.#settled_before = Math.max(this.#settled_before, before);
  }
}
