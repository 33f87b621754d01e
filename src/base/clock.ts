/** Source of the current time, injected so that tests and replays control it. */
export interface Clock {
  /** Microseconds since the epoch, UTC. Fits a double exactly until the year 2255. */
  now_us(): number;
  /** Resolves after `delay_ms`, or rejects with the signal's reason when aborted first. */
  wait(delay_ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  // Not performance.now(): it stops while a laptop sleeps, and prices would then seem to come from the future.
  now_us: () => Date.now() * 1000,
  async wait(delay_ms, signal) {
    const { setTimeout } = await import("node:timers/promises");
    await setTimeout(delay_ms, undefined, { signal });
  },
};

/** `2025-10-10T21:00:01.234567Z`: ISO 8601 in UTC with microseconds. */
export function isoFromMicros(at_us: number): string {
  const whole_ms = Math.floor(at_us / 1000);
  const micros = String(at_us - whole_ms * 1000).padStart(3, "0");
  return new Date(whole_ms).toISOString().replace("Z", `${micros}Z`);
}
