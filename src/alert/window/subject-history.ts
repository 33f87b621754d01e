import type { Tick } from "../../pipeline/definition.ts";
import { compareEvents } from "../../pipeline/event-order.ts";
import { MINUTE_US, MinuteHistory } from "./minute-history.ts";
import { PriceHistory } from "./price-history.ts";

/**
 * Maximum lateness of a tick, by event time, for an evaluation. Silver accepts older ticks only to fill a gap, and a
 * filled gap is history that should not fire an alert.
 */
export const LATENESS_US = 5 * MINUTE_US;

/** The longest look-back of the rules; null where no rule needs it. */
export interface Spans {
  prices_us: number | null;
  minutes: number | null;
}

/** late: at most five minutes before the newest tick of its subject in event order; historic: older, and ignored. */
export type Arrival = "newest" | "late" | "historic";

/** The prices and minutes of one subject, in event order, as far back as the longest rule looks. */
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
