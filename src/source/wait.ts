import type { Clock } from "../clock.ts";

/** Timers stand still while a laptop sleeps: the clock is looked at again at least this often, so a wait ends soon after waking. */
const LONGEST_WAIT_MS = 30_000;

/** Resolves to true once the clock has reached `at_us` (microseconds UTC), to false as soon as the signal aborts. */
export async function waitUntil(clock: Clock, at_us: number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const left_ms = Math.ceil((at_us - clock.now_us()) / 1000);
    if (left_ms <= 0) return true;
    try {
      await clock.wait(Math.min(left_ms, LONGEST_WAIT_MS), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  return false;
}
