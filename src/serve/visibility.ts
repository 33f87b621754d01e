import type { AbsorbedBatch, LiveState } from "../live/live-lake.ts";

/**
 * Measures the delay from a record's receipt until queries see it. Records received before the tail first caught up
 * with the log do not count: their delay includes the time until this process started.
 */
export class Visibility {
  #counts_from_us = Infinity;

  /** Delays of a batch's accepted records, in seconds. */
  delays_s(
    { ticks, absorbed_at_us }: Pick<AbsorbedBatch, "ticks" | "absorbed_at_us">,
    { pending_records }: Pick<LiveState, "pending_records">,
  ): number[] {
    if (this.#counts_from_us === Infinity) {
      if (pending_records === 0) this.#counts_from_us = absorbed_at_us;
      return [];
    }
    return ticks
      .filter(({ ingested_at_us }) => ingested_at_us >= this.#counts_from_us)
      .map(({ ingested_at_us }) => (absorbed_at_us - ingested_at_us) / 1e6);
  }
}
