import assert from "node:assert/strict";
import { firstIndex } from "./bisect.ts";

const WORD_BITS = 64n;
const FEWEST = 16;

/** Columns are made longer where the ticks alone, without what was dropped, fill more of them than this. */
const FULL = 0.75;

/**
 * Ticks in the order of their times, in typed columns: 24 bytes a place, 32 to 48 a tick while as many come as are dropped, where
 * objects take 130. Minutes of a busy market are held here. Values have up to 127 bits and a sign, as a DECIMAL(38) has.
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
    assert(index < this.count);
    return this.#times[this.#head + index] ?? Infinity;
  }

  value(index: number): bigint {
    assert(index < this.count);
    const place = this.#head + index;
    return ((this.#high_words[place] ?? 0n) << WORD_BITS) | (this.#low_words[place] ?? 0n);
  }

  /** After those of the same time. */
  add(at_us: number, value: bigint): void {
    if (this.#end === this.#times.length) this.#makeRoom();
    // Mostly it is the newest.
    const is_newest = this.count === 0 || (this.#times[this.#end - 1] ?? 0) <= at_us;
    const place = is_newest ? this.#end : firstIndex(this.#head, this.#end, (tick) => (this.#times[tick] ?? 0) > at_us);
    for (const column of [this.#times, this.#high_words, this.#low_words]) column.copyWithin(place + 1, place, this.#end);
    this.#times[place] = at_us;
    this.#high_words[place] = value >> WORD_BITS;
    // Stored modulo 2^64: the low word.
    this.#low_words[place] = value;
    this.#end += 1;
  }

  /** Forgets the oldest. */
  drop(count: number): void {
    assert(count <= this.count);
    this.#head += count;
  }

  /** Moves the ticks to the front, of longer columns where these are full. */
  #makeRoom(): void {
    const { count } = this;
    if (count > this.#times.length * FULL) {
      const length = Math.ceil(this.#times.length * 1.5);
      const [times, high_words, low_words] = [new Float64Array(length), new BigInt64Array(length), new BigUint64Array(length)];
      times.set(this.#times);
      high_words.set(this.#high_words);
      low_words.set(this.#low_words);
      [this.#times, this.#high_words, this.#low_words] = [times, high_words, low_words];
    }
    for (const column of [this.#times, this.#high_words, this.#low_words]) column.copyWithin(0, this.#head, this.#end);
    this.#head = 0;
    this.#end = count;
  }
}
