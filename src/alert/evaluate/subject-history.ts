import type { Tick } from "../../pipeline/definition.ts";
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

/** late: older than the newest of its subject, by at most five minutes; historic: older still, and not taken. */
export type Arrival = "newest" | "late" | "historic";

/** What rules may know of one subject: its ticks in log order, by event time, as far back as the longest rule looks. */
export class SubjectHistory {
  readonly prices = new PriceHistory(LATENESS_US);
  readonly minutes = new MinuteHistory();
  #newest_us = -Infinity;

  get newest_us(): number {
    return this.#newest_us;
  }

  take(tick: Tick, spans: Spans): Arrival {
    if (tick.at_us < Math.max(this.#newest_us, tick.ingested_at_us) - LATENESS_US) return "historic";
    if (spans.prices_us !== null && !this.prices.add(tick.at_us, tick.value, spans.prices_us)) return "historic";
    if (spans.minutes !== null) this.minutes.add(tick.at_us, tick.value, tick.amount, spans.minutes);
    if (tick.at_us < this.#newest_us) return "late";
    this.#newest_us = tick.at_us;
    return "newest";
  }
}
