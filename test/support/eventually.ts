import { setTimeout as wait } from "node:timers/promises";

export interface EventuallyOptions {
  /**
   * What the caller waits for; the error after a timeout contains it, with the last observed state if given as a
   * function.
   */
  what: string | (() => string);
  /** Test machines are busy, so the limit only distinguishes a slow wait from an endless one. */
  timeout_ms?: number;
  interval_ms?: number;
}

const TIMEOUT_MS = 60_000;
const INTERVAL_MS = 20;

/**
 * Calls `ask` until the result is neither null, undefined nor false, and resolves to it; rejects after the timeout. An
 * error that `ask` throws ends the wait, because it is not transient.
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
