interface Numbered {
  date: string;
  number: bigint | null;
  sequence_key: string;
  has_timestamp_identity: boolean;
}

/** Events come of today, of yesterday around midnight, and (filled gaps) of days before: more days than this are learnt anew when needed. */
const MAX_DATES = 8;

/**
 * The highest number that was accepted, per date and per what numbers count for. A higher one cannot be a copy, so the table
 * need not be searched for it; what is not higher may be late, filled in, or a copy.
 */
export class HighWaterMarks {
  readonly #by_date = new Map<string, Map<string, bigint>>();

  /** Dates of candidates with numbers that nothing is known of yet. */
  unknownDates(candidates: readonly Numbered[]): string[] {
    return [
      ...new Set(candidates.flatMap(({ date, number }) => (number === null || this.#by_date.has(date) ? [] : [date]))),
    ];
  }

  /** What the table and the tail say of a date that nothing was known of. */
  learn(date: string, heads: readonly (readonly [sequence_key: string, number: bigint])[]): void {
    this.#by_date.set(date, new Map(heads));
  }

  mayBeCopy({ date, number, sequence_key, has_timestamp_identity }: Numbered): boolean {
    if (number === null) return !has_timestamp_identity;
    return number <= (this.#by_date.get(date)?.get(sequence_key) ?? -1n);
  }

  /** Whether each is higher than whatever came before it, in the batch too: then none is a copy. */
  areStrictlyIncreasing(candidates: readonly Numbered[]): boolean {
    const reached = new Map<string, bigint>();
    return candidates.every((candidate) => {
      const { date, number, sequence_key } = candidate;
      const key = `${date} ${sequence_key}`;
      if (number === null || this.mayBeCopy(candidate) || number <= (reached.get(key) ?? -1n)) return false;
      reached.set(key, number);
      return true;
    });
  }

  /** After a batch was absorbed; only then are dates forgotten, those longest out of use first. */
  advance(candidates: readonly Numbered[]): void {
    for (const { date, number, sequence_key } of candidates) {
      if (number === null) continue;
      const heads = this.#by_date.get(date) ?? new Map<string, bigint>();
      if (number > (heads.get(sequence_key) ?? -1n)) heads.set(sequence_key, number);
      this.#by_date.delete(date);
      this.#by_date.set(date, heads);
    }
    for (const date of this.#by_date.keys()) {
      if (this.#by_date.size <= MAX_DATES) break;
      this.#by_date.delete(date);
    }
  }
}
