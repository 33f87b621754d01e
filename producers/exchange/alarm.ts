import { onAbort } from "../../src/base/abortable.ts";
import type { Clock } from "../../src/base/clock.ts";

/** Timers do not run while a laptop sleeps, so the clock is checked at least this often. */
const LONGEST_WAIT_MS = 30_000;

/** Makes one loop wait for a time or an event, whichever is first. */
export class Alarm {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #has_rung = false;
  #wake: () => void = () => {};

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    onAbort(signal, () => this.ring());
  }

  /** Ends the wait, or the next one if none is in progress. */
  ring(): void {
    this.#has_rung = true;
    this.#wake();
  }

  /**
   * Resolves on a ring, when the signal aborts, or at `at_us`. May resolve earlier, so the caller must check again.
   * Infinity sets no time.
   */
  async until(at_us: number): Promise<void> {
    const left_ms = Math.ceil((at_us - this.#clock.now_us()) / 1000);
    if (!this.#has_rung && !this.#signal.aborted && left_ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left_ms, LONGEST_WAIT_MS));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = () => {};
    }
    this.#has_rung = false;
  }
}
