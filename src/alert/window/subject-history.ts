import type { Tick } from "../../pipeline/definition.ts";
import { compareEvents } from "../../pipeline/event-order.ts";
import { MinuteHistory } from "./minute-history.ts";
import { PriceHistory } from "./price-history.ts";

/** The longest look-back of the rules; null where no rule needs it. */
export interface Spans {
  prices_us: number | null;
  minutes: number | null;
}

/**
 * late: before the newest tick of its subject in event order, by at most the pipeline's lateness; historic: older, and
 * ignored.
 */
export type Arrival = "newest" | "late" | "historic";

/** The prices and minutes of one subject, in event order, as far back as the longest rule looks. */
export class SubjectHistory {
  readonly prices: PriceHistory;
  readonly minutes = new MinuteHistory();
  readonly #lateness_us: number;
  #newest: Tick | null = null;

  constructor(lateness_us: number) {
    this.prices = new PriceHistory(lateness_us);
    this.#lateness_us = lateness_us;
  }

  get newest_us(): number {
    return this.#newest?.at_us ?? -Infinity;
  }

  take(tick: Tick, spans: Spans): Arrival {
    if (tick.at_us < Math.max(this.newest_us, tick.ingested_at_us) - this.#lateness_us) return "historic";
    if (spans.prices_us !== null && !this.prices.add(tick, spans.prices_us)) return "historic";
    if (spans.minutes !== null) this.minutes.add(tick, spans.minutes);
    if (this.#newest !== null && compareEvents(tick, this.#newest) < 0) return "late";
    this.#newest = tick;
    return "newest";
  }
}
