import type { AbsorbedBatch, LiveState } from "../live/live-lake.ts";

/**
 * How long records take from their receipt until queries see them. Records that were received before the tail had first caught up with the
 * log do not count: they waited for this process to start, or behind those that did, which says nothing about the path that they take.
 */
export class Visibility {
  #counts_from_us = Infinity;

  /** Seconds of each accepted record of a batch that counts. */
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
