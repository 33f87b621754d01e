import type { Clock } from "../base/clock.ts";

/** How fast recorded or simulated time passes: N times real time, or as fast as the log takes it. */
export type Speed = number | "max";

/** Throws a RangeError for anything but "max" and a finite number above zero. */
export function checkSpeed(speed: Speed): void {
  if (speed !== "max" && !(Number.isFinite(speed) && speed > 0)) {
    throw new RangeError(`a speed is "max" or a number above 0; got ${String(speed)}`);
  }
}

/**
 * Maps recorded time to the clock: the first moment asked for is now, later ones follow at `speed`.
 * Recorded time that steps back is due at once: a recording keeps its own order.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #speed: number;
  #anchor: { clock_us: number; recorded_us: number } | null = null;

  constructor(clock: Clock, speed: number) {
    this.#clock = clock;
    this.#speed = speed;
  }

  /** When, by the clock and in microseconds UTC, the moment `recorded_us` is to be played. */
  due_us(recorded_us: number): number {
    this.#anchor ??= { clock_us: this.#clock.now_us(), recorded_us };
    return this.#anchor.clock_us + (recorded_us - this.#anchor.recorded_us) / this.#speed;
  }
}
