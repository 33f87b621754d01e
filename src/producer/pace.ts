import type { Clock } from "../base/clock.ts";

/** The speed of recorded or simulated time: N times real time, or as fast as the log accepts records. */
export type Speed = number | "max";

/** Throws a RangeError unless the speed is "max" or a finite number above zero. */
export function checkSpeed(speed: Speed): void {
  if (speed !== "max" && !(Number.isFinite(speed) && speed > 0)) {
    throw new RangeError(`a speed is "max" or a number above 0; got ${String(speed)}`);
  }
}

/**
 * Maps recorded time to the clock: the first time is now, later ones follow at `speed`. A recorded time earlier than
 * the first is due at once, because a recording keeps its order.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #speed: number;
  #anchor: { clock_us: number; recorded_us: number } | null = null;

  constructor(clock: Clock, speed: number) {
    this.#clock = clock;
    this.#speed = speed;
  }

  /** The clock's time, in microseconds UTC, at which the record of `recorded_us` is due. */
  due_us(recorded_us: number): number {
    this.#anchor ??= { clock_us: this.#clock.now_us(), recorded_us };
    return this.#anchor.clock_us + (recorded_us - this.#anchor.recorded_us) / this.#speed;
  }
}
