const WORD_BITS = 64n;
const FEWEST = 16;

/**
 * Ticks in the order of their times, in typed columns: 24 bytes a tick, where objects take five times that. Minutes of a busy market
 * are held here. Values have up to 127 bits and a sign, as a DECIMAL(38) has.
 */
export class TicksByTime {
  #times = new Float64Array(FEWEST);
  #high_words = new BigInt64Array(FEWEST);
  #low_words = new BigUint64Array(FEWEST);
  /** The ticks are those at [head, end). */
  #head = 0;
  #end = 0;

  get count(): number {
    return this.#end - this.#head;
  }

  /** Microseconds of the tick number `index` from the oldest, from 0. */
  time(index: number): number {
    return this.#times[this.#head + index] ?? Infinity;
  }

  value(index: number): bigint {
    const place = this.#head + index;
    return ((this.#high_words[place] ?? 0n) << WORD_BITS) | (this.#low_words[place] ?? 0n);
  }

  /** After those of the same time. */
  add(at_us: number, value: bigint): void {
    if (this.#end === this.#times.length) this.#makeRoom();
    let place = this.#end;
    while (place > this.#head && (this.#times[place - 1] ?? 0) > at_us) place -= 1;
    for (const column of [this.#times, this.#high_words, this.#low_words]) column.copyWithin(place + 1, place, this.#end);
    this.#times[place] = at_us;
    this.#high_words[place] = value >> WORD_BITS;
    // Stored modulo 2^64: the low word.
    this.#low_words[place] = value;
    this.#end += 1;
  }

  /** Forgets the oldest. */
  drop(count: number): void {
    this.#head += Math.min(count, this.count);
  }

  /** Moves the ticks to the front, of wider columns where they fill more than half of these. */
  #makeRoom(): void {
    const { count } = this;
    const length = Math.max(FEWEST, count * 2 > this.#times.length ? Math.ceil(this.#times.length * 1.5) : this.#times.length);
    const [times, high_words, low_words] = [new Float64Array(length), new BigInt64Array(length), new BigUint64Array(length)];
    times.set(this.#times.subarray(this.#head, this.#end));
    high_words.set(this.#high_words.subarray(this.#head, this.#end));
    low_words.set(this.#low_words.subarray(this.#head, this.#end));
    [this.#times, this.#high_words, this.#low_words] = [times, high_words, low_words];
    this.#head = 0;
    this.#end = count;
  }
}
