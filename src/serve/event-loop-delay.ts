import { monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 20;
const WINDOW_MS = 30_000;
const NS_PER_S = 1e9;

/**
 * How late the event loop was over the last 30 to 60 seconds, independent of who reads it and how often. Two histograms are cleared in turn, and the one
 * cleared longer ago is read: one that each reader cleared would show two readers half of it each, and an empty one no delay at all.
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

  /** Seconds; null before the first measurement. */
  quantile_s(quantile: number): number | null {
    if (this.#older.count === 0) return null;
    // Node measures from timer to timer, so what it records has the timer's own interval in it.
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
