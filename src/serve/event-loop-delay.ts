import { monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 20;
const WINDOW_MS = 30_000;
const NS_PER_S = 1e9;

/**
 * Event-loop delay over the last 30 to 60 seconds. Two histograms are reset alternately and the one reset longer ago is
 * read, so the result does not depend on how many readers there are or how often they read.
 */
export class EventLoopDelay {
  #older = started();
  #newer = started();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => {
      [this.#older, this.#newer] = [this.#newer, this.#older];
      this.#newer.reset();
    }, WINDOW_MS);
    this.#timer.unref();
  }

  /** Delay in seconds; null before the first measurement. */
  quantile_s(quantile: number): number | null {
    if (this.#older.count === 0) return null;
    // Node records the time between two timers, so the timer's interval is subtracted.
    return Math.max(0, this.#older.percentile(quantile * 100) - RESOLUTION_MS * 1e6) / NS_PER_S;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#older.disable();
    this.#newer.disable();
  }
}

function started(): ReturnType<typeof monitorEventLoopDelay> {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return histogram;
}
