import { compareEvents, type EventPosition } from "../../pipeline/event-order.ts";
import { SlidingMaximum } from "./sliding-maximum.ts";
import { TicksInOrder } from "./ticks-in-order.ts";

const SECOND_US = 1_000_000;

/** Maximum number of recent ticks, which the windows of late ticks need; beyond it the oldest second settles early. */
const MAX_RECENT_TICKS = 50_000;

type Priced = EventPosition & { value: bigint };

/** Summary of the ticks of one second. */
interface Second {
  second: number;
  ticks: number;
  high: bigint;
  low: bigint;
}

/**
 * The prices of one subject. It finds the highest or lowest price of a window that ends with a tick, the newest in
 * event order or a late one. Among ticks with the same time, the window contains those before it in event order.
 * Sliding maxima (minima) serve windows that end with the newest tick. The window of a late tick must not contain later
 * ticks, so the ticks of the last minutes are kept with a summary for each second; sliding maxima of older ticks
 * (`settled`) cover the rest.
 */
export class PriceHistory {
  readonly #lateness_us: number;
  readonly #highest = new SlidingMaximum("highest");
  readonly #lowest = new SlidingMaximum("lowest");
  readonly #settled_highest = new SlidingMaximum("highest");
  readonly #settled_lowest = new SlidingMaximum("lowest");
  readonly #recent = new TicksInOrder();
  /** Summaries of the recent ticks, oldest first. */
  readonly #seconds: Second[] = [];
  /** Ticks before this second are settled. */
  #settled_before = -Infinity;
  #newest: EventPosition | null = null;

  constructor(lateness_us: number) {
    this.#lateness_us = lateness_us;
  }

  /** Returns false, and ignores the tick, where it is older than the settled seconds. */
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
    // The oldest second that is not settled may contain ticks later than this.
    const oldest_settled_us = oldest_us - this.#lateness_us - SECOND_US;
    this.#settled_highest.forget(oldest_settled_us);
    this.#settled_lowest.forget(oldest_settled_us);
    return true;
  }

  /** The highest price from `window_us` before the given tick to the tick, both inclusive. */
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
