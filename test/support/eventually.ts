import { setTimeout as wait } from "node:timers/promises";

export interface EventuallyOptions {
  /** What is waited for; names it, with what was seen in place of it, when it does not come. */
  what: string | (() => string);
  /** Machines that run tests are busy: the limit only tells a wait from one that never ends. */
  timeout_ms?: number;
  interval_ms?: number;
}

const TIMEOUT_MS = 60_000;
const INTERVAL_MS = 20;

/**
 * Asks until the answer is neither null, undefined nor false, and resolves to it; rejects after the time-out. An error
 * of `ask` ends the wait.
 */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  { what, timeout_ms = TIMEOUT_MS, interval_ms = INTERVAL_MS }: EventuallyOptions,
): Promise<Exclude<T, null | undefined | false>> {
  const deadline_ms = performance.now() + timeout_ms;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false)
      return answer as Exclude<T, null | undefined | false>;
    if (performance.now() > deadline_ms)
      throw new Error(`After ${timeout_ms / 1000} s still not: ${typeof what === "string" ? what : what()}`);
    await wait(interval_ms);
  }
}
