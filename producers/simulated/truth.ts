import { pageAt, TOLERANCE_US, type Element, type RejectionReason } from "./dirt.ts";
import { Market, type MarketOptions, type Quote } from "./market.ts";

/** The expected outcome of one element of a sent page, for tests to compare with the actual outcome. */
export interface Expected {
  step: number;
  ingested_at_us: number;
  /** Index in the page's array; 0 for a page that is rejected whole. */
  element: number;
  verdict: "accepted" | "duplicate" | "rejected";
  /** Null unless rejected. */
  reason: RejectionReason | null;
  /** The element's values; null if a page is rejected whole or the element does not identify a coin. */
  quote: Omit<Quote, "fields"> | null;
}

/**
 * The expected outcome of everything that a market sends in the given steps, in the order sent. Validity is decided
 * before duplication; of the valid elements with one coin and one `last_updated`, the first is accepted. `steps` must
 * begin where the log does: earlier steps count as never sent.
 */
export function* expected(options: MarketOptions, steps: Iterable<number>): Generator<Expected> {
  const market = new Market(options);
  const seen = new Set<string>();
  for (const step of steps) {
    const ingested_at_us = market.ingestedAt_us(step);
    const page = pageAt(market, step);
    if (page.reason !== null) {
      yield { step, ingested_at_us, element: 0, verdict: "rejected", reason: page.reason, quote: null };
      continue;
    }
    for (const [index, element] of page.elements.entries()) {
      const { quote } = element;
      const reason = element.reason ?? timeliness(element, ingested_at_us);
      const identity = `${quote?.coin_id} ${quote?.last_updated_us}`;
      const verdict = reason !== null ? "rejected" : seen.has(identity) ? "duplicate" : "accepted";
      if (verdict === "accepted") seen.add(identity);
      yield { step, ingested_at_us, element: index, verdict, reason, quote };
    }
  }
}

/** The steps from `from` (inclusive) to `until` (exclusive). */
export function* stepsBetween(from: number, until: number): Generator<number> {
  for (let step = from; step < until; step += 1) yield step;
}

function timeliness({ quote }: Element, ingested_at_us: number): RejectionReason | null {
  const age_us = ingested_at_us - (quote?.last_updated_us ?? ingested_at_us);
  if (age_us > TOLERANCE_US) return "late_event";
  return age_us < -TOLERANCE_US ? "future_event" : null;
}
