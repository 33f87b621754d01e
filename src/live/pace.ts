/** Records that arrive one by one are absorbed together when they come faster than this. */
const PACE_MS = 10;
/** A batch of one record costs nearly what one of a hundred does. While few records come, absorbing takes at most this share of a core ... */
const ABSORB_SHARE = 0.1;
/** ... but no batch begins later than this after the one before: a record is then visible within 250 ms while a batch takes up to 100 ms. */
const MAX_CYCLE_MS = 120;
/** From this many records a second on, batches are full enough by themselves, and follow each other at once. */
const BUSY_RECORDS_PER_S = 500;
/** The rate is a mean that forgets at this pace. */
const RATE_WINDOW_MS = 1_000;

/** How long the tail gathers records before it absorbs the next batch. */
export class AbsorbPace {
  #records_per_s = 0;
  #ended_ms = -Infinity;

  /** The pause after a batch of so many records that ended at `now_ms` and took `cost_ms`. */
  rest_ms(records: number, cost_ms: number, now_ms: number): number {
    const elapsed_ms = Math.max(1, Math.min(now_ms - this.#ended_ms, 60_000));
    this.#ended_ms = now_ms;
    const weight = 1 - Math.exp(-elapsed_ms / RATE_WINDOW_MS);
    this.#records_per_s += weight * ((records * 1000) / elapsed_ms - this.#records_per_s);
    const wanted_ms = this.#records_per_s >= BUSY_RECORDS_PER_S ? PACE_MS : Math.max(PACE_MS, cost_ms / ABSORB_SHARE);
    return Math.max(0, Math.min(MAX_CYCLE_MS, wanted_ms) - cost_ms);
  }
}

/** Moving the views to newer snapshots plans each of them over its table's manifests. It takes at most this share of a core ... */
const REBIND_SHARE = 0.02;
/** ... but the tail, which adds meanwhile what the older snapshots lack, is not to grow for longer than this. */
const MAX_REBIND_PAUSE_US = 30_000_000;

/** When the views may move to newer snapshots again. */
export class RebindPace {
  #at_us = -Infinity;

  took(began_us: number, ended_us: number): void {
    this.#at_us = began_us + Math.min((ended_us - began_us) / REBIND_SHARE, MAX_REBIND_PAUSE_US);
  }

  /** At a time further off than any pause, the clock was set back, and nobody knows how long ago the last move was. */
  isDue(now_us: number): boolean {
    return now_us >= this.#at_us || this.#at_us - now_us > MAX_REBIND_PAUSE_US;
  }
}
