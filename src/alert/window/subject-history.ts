import type { Tick } from "../../pipeline/definition.ts";
import { compareEvents } from "../../pipeline/event-order.ts";
import { MINUTE_US, MinuteHistory } from "./minute-history.ts";
import { PriceHistory } from "./price-history.ts";

/**
 * How late a tick may be, by event time, and still be judged. Silver lets nothing older in but what fills a gap, and a gap that
 * is filled is history: nobody wants to be woken for it.
 */
export const LATENESS_US = 5 * MINUTE_US;

/** How far back rules look; null where none looks that way. */
export interface Spans {
  prices_us: number | null;
  minutes: number | null;
}

/** late: before the newest of its subject in the order of events, by at most five minutes; historic: older still, and not taken. */
export type Arrival = "newest" | "late" | "historic";

/** What rules may know of one subject: its ticks in log order, by the order of events, as far back as the longest rule looks. */
export class SubjectHistory {
  readonly prices = new PriceHistory(LATENESS_US);
  readonly minutes = new MinuteHistory();
  #newest: Tick | null = null;

  get newest_us(): number {
    return this.#newest?.at_us ?? -Infinity;
  }

  take(tick: Tick, spans: Spans): Arrival {
    if (tick.at_us < Math.max(this.newest_us, tick.ingested_at_us) - LATENESS_US) return "historic";
    if (spans.prices_us !== null && !this.prices.add(tick, spans.prices_us)) return "historic";
    if (spans.minutes !== null) this.minutes.add(tick, spans.minutes);
    if (this.#newest !== null && compareEvents(tick, this.#newest) < 0) return "late";
    this.#newest = tick;
    return "newest";
  }
}
