export const MINUTE_US = 60_000_000;

/** The newest minutes stay although all tables have consumed them, because most new rows belong to them. */
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
 * The minutes, by subject, of which the tail holds all rows. Minutes from `#begin_us` on passed through the tail from
 * their first row; earlier minutes are loaded from the table when one of their rows arrives.
 */
export class MinuteCoverage {
  readonly #held = new Set<string>();
  #begin_us = -Infinity;

  /** Declares that rows up to this time may exist only in the table. */
  beginAfter(at_us: number): void {
    this.#begin_us = Math.max(this.#begin_us, minuteOf(at_us) + MINUTE_US);
  }

  /** Holds nothing any more: rows up to this time may exist only in the table. */
  restartAfter(at_us: number): void {
    this.#held.clear();
    this.beginAfter(at_us);
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

  /**
   * The time before which rows may be deleted. `oldest_us` is the time of the oldest row that a table has not consumed.
   */
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
