import type { Clock } from "../base/clock.ts";

/**
 * Timers stand still while a laptop sleeps: the clock is looked at again at least this often, so a wait ends soon after
 * waking.
 */
const LONGEST_WAIT_MS = 30_000;

/**
 * Resolves to true once the clock has reached `at_us` (microseconds UTC), to false as soon as the signal aborts. A
 * clock that is set back meanwhile prolongs nothing: it takes no longer than it would have when it began.
 */
export async function waitUntil(clock: Clock, at_us: number, signal: AbortSignal): Promise<boolean> {
  let longest_ms = Math.ceil((at_us - clock.now_us()) / 1000);
  while (!signal.aborted) {
    const left_ms = Math.min(longest_ms, Math.ceil((at_us - clock.now_us()) / 1000));
    if (left_ms <= 0) return true;
    const pause_ms = Math.min(left_ms, LONGEST_WAIT_MS);
    try {
      await clock.wait(pause_ms, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    longest_ms -= pause_ms;
  }
  return false;
}
