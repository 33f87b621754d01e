/** Records that arrive at shorter intervals than this are absorbed in one batch. */
const PACE_MS = 10;
/**
 * The share of a core that absorbing uses at most while few records arrive: a batch of one costs nearly as much as one
 * of a hundred.
 */
const ABSORB_SHARE = 0.1;
/** The longest interval between batches: records are visible within 250 ms while a batch takes up to 100 ms. */
const MAX_CYCLE_MS = 120;
/** From this rate on, batches are large enough without a delay. */
const BUSY_RECORDS_PER_S = 500;
/** The time constant of the exponential moving average of the rate. */
const RATE_WINDOW_MS = 1_000;

/** Decides how long the tail collects records before it absorbs the next batch. */
export class AbsorbPace {
  #records_per_s = 0;
  #ended_ms = -Infinity;

  /** The delay after a batch that ended at `now_ms` and took `cost_ms`; both may be wrong if the clock was set back. */
  rest_ms(records: number, cost_ms: number, now_ms: number): number {
    const elapsed_ms = Math.max(1, Math.min(now_ms - this.#ended_ms, 60_000));
    this.#ended_ms = now_ms;
    const weight = 1 - Math.exp(-elapsed_ms / RATE_WINDOW_MS);
    this.#records_per_s += weight * ((records * 1000) / elapsed_ms - this.#records_per_s);
    const wanted_ms = this.#records_per_s >= BUSY_RECORDS_PER_S ? PACE_MS : Math.max(PACE_MS, cost_ms / ABSORB_SHARE);
    return Math.max(0, Math.min(MAX_CYCLE_MS, wanted_ms) - Math.max(0, cost_ms));
  }
}

/** The share of a core that rebinding uses at most: it plans every view over its table's manifests. */
const REBIND_SHARE = 0.02;
/** The longest interval between rebinds, because the tail grows until the next one. */
const MAX_REBIND_PAUSE_US = 30_000_000;

/** Decides when the views may be rebound to newer snapshots. */
export class RebindPace {
  #at_us = -Infinity;

  took(began_us: number, ended_us: number): void {
    this.#at_us = began_us + Math.min((ended_us - began_us) / REBIND_SHARE, MAX_REBIND_PAUSE_US);
  }

  /** True also where the next time is further away than any interval: then the clock was set back. */
  isDue(now_us: number): boolean {
    return now_us >= this.#at_us || this.#at_us - now_us > MAX_REBIND_PAUSE_US;
  }
}
