interface Numbered {
  date: string;
  number: bigint | null;
  sequence_key: string;
  has_timestamp_identity: boolean;
}

/**
 * Most events are of today, some of yesterday (around midnight) or older (filled gaps). Marks of further dates are
 * loaded again when needed.
 */
const MAX_DATES = 8;

/**
 * The highest accepted number per date and sequence. An event with a higher number cannot be a duplicate, so the table
 * need not be searched for it; any other event may be late, filled in, or a duplicate.
 */
export class HighWaterMarks {
  readonly #by_date = new Map<string, Map<string, bigint>>();

  /** Dates of numbered candidates for which no marks are loaded. */
  unknownDates(candidates: readonly Numbered[]): string[] {
    return [
      ...new Set(candidates.flatMap(({ date, number }) => (number === null || this.#by_date.has(date) ? [] : [date]))),
    ];
  }

  /** Sets the marks of a date, from the table and the tail. */
  learn(date: string, heads: readonly (readonly [sequence_key: string, number: bigint])[]): void {
    this.#by_date.set(date, new Map(heads));
  }

  /** Forgets all marks, which are loaded again when needed. */
  clear(): void {
    this.#by_date.clear();
  }

  mayBeCopy({ date, number, sequence_key, has_timestamp_identity }: Numbered): boolean {
    if (number === null) return !has_timestamp_identity;
    return number <= (this.#by_date.get(date)?.get(sequence_key) ?? -1n);
  }

  /** Whether each number is higher than all before it, in the batch too. Then none is a duplicate. */
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

  /** Raises the marks after a batch was absorbed, and evicts the least recently used dates. */
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
