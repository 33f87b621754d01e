import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/base/clock.ts";

/** A clock that jumps ahead on every wait, and records the waits. */
export class FakeClock implements Clock {
  #now_us: number;
  readonly waits_ms: number[] = [];

  constructor(start: string | number = "2025-10-10T12:00:00Z") {
    this.#now_us = typeof start === "number" ? start : Date.parse(start) * 1000;
  }

  now_us(): number {
    return this.#now_us;
  }

  async wait(delay_ms: number, signal?: AbortSignal): Promise<void> {
    await setImmediate();
    signal?.throwIfAborted();
    this.waits_ms.push(delay_ms);
    this.#now_us += delay_ms * 1000;
  }

  /** Advances the time without a wait: a suspended machine, or a stepped clock. */
  jump_ms(delay_ms: number): void {
    this.#now_us += delay_ms * 1000;
  }
}
