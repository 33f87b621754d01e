export const MINUTE_US = 60_000_000;

/** Besides minutes with rows that some table lacks, the last ones stay: most of what arrives next belongs to them. */
const MINUTES_KEPT = 2;

interface Event {
  subject: string;
  at_us: number;
  date: string;
}

export interface Minute {
  subject: string;
  /** Its start, microseconds UTC. */
  minute_us: number;
  date: string;
}

/**
 * Which minutes of which subjects the tail holds whole. MinuteCoverage from `#begin_us` on have passed through the tail from their first
 * row, so they are whole by themselves; earlier ones have to be brought in from the table when a row of theirs arrives.
 */
export class MinuteCoverage {
  readonly #held = new Set<string>();
  #begin_us = -Infinity;

  /** Every row up to this time may be in the table alone. */
  beginAfter(at_us: number): void {
    this.#begin_us = Math.max(this.#begin_us, minuteOf(at_us) + MINUTE_US);
  }

  missing(events: readonly Event[]): Minute[] {
    const missing = new Map<string, Minute>();
    for (const { subject, at_us, date } of events) {
      const minute_us = minuteOf(at_us);
      const key = keyOf(subject, minute_us);
      if (minute_us < this.#begin_us && !this.#held.has(key)) missing.set(key, { subject, minute_us, date });
    }
    return [...missing.values()];
  }

  hold(events: readonly Event[]): void {
    for (const { subject, at_us } of events) this.#held.add(keyOf(subject, minuteOf(at_us)));
  }

  /** The time before which rows may go: `oldest_us` is that of the oldest row which some table lacks. */
  cutBefore(oldest_us: number | null, newest_us: number | null): number {
    const last_us = minuteOf(newest_us ?? 0) - (MINUTES_KEPT - 1) * MINUTE_US;
    return Math.min(minuteOf(oldest_us ?? Infinity), last_us);
  }

  forgetBefore(cut_us: number): void {
    for (const key of this.#held) if (Number(key.slice(0, key.indexOf(" "))) < cut_us) this.#held.delete(key);
    this.#begin_us = Math.max(this.#begin_us, cut_us);
  }
}

function minuteOf(at_us: number): number {
  return Math.floor(at_us / MINUTE_US) * MINUTE_US;
}

function keyOf(subject: string, minute_us: number): string {
  return `${minute_us} ${subject}`;
}
