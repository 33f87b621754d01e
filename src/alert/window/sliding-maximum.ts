import { firstIndex } from "./bisect.ts";

/** Beyond this many entries the window is shortened: a price that fell 50,000 times in a row has already fired. */
const MAX_ENTRIES = 50_000;

/**
 * The maximum (or minimum) value since any time, in a monotonic deque: an entry is a value that no entry of its time or
 * later reaches. Times ascend and values strictly descend (ascend for the minimum), so the first entry not before a
 * time is the extreme since then. `add` is O(1) amortised, `since` is O(log entries).
 */
export class SlidingMaximum {
  readonly #is_highest: boolean;
  #times: number[] = [];
  #values: bigint[] = [];
  /** Entries before this index are removed; the arrays are cut when these are half of them. */
  #head = 0;

  constructor(extreme: "highest" | "lowest") {
    this.#is_highest = extreme === "highest";
  }

  get entries(): number {
    return this.#times.length - this.#head;
  }

  /** Accepts any order of times; ascending times are fast. */
  add(at_us: number, value: bigint): void {
    const end = this.#times.length;
    let index = end;
    if (end > this.#head && (this.#times[end - 1] ?? 0) > at_us) {
      index = firstIndex(this.#head, end, (entry) => (this.#times[entry] ?? 0) > at_us);
      if (this.#reaches(this.#values[index], value)) return;
    }
    let first = index;
    while (first > this.#head && this.#reaches(value, this.#values[first - 1])) first -= 1;
    if (first === end) {
      this.#times.push(at_us);
      this.#values.push(value);
    } else {
      this.#times.splice(first, index - first, at_us);
      this.#values.splice(first, index - first, value);
    }
    if (this.entries > MAX_ENTRIES) this.#cut(this.#head + 1);
  }

  /** The extreme of the values with a time of `since_us` or later; null where there is none. */
  since(since_us: number): bigint | null {
    const first = firstIndex(this.#head, this.#times.length, (entry) => (this.#times[entry] ?? 0) >= since_us);
    return this.#values[first] ?? null;
  }

  forget(before_us: number): void {
    let head = this.#head;
    while (head < this.#times.length && (this.#times[head] ?? 0) < before_us) head += 1;
    if (head > this.#head) this.#cut(head);
  }

  #cut(head: number): void {
    this.#head = head;
    if (head < 64 || head * 2 < this.#times.length) return;
    this.#times = this.#times.slice(head);
    this.#values = this.#values.slice(head);
    this.#head = 0;
  }

  /** Whether `value` is at least as extreme as `other`, which then no longer counts unless it is later. */
  #reaches(value: bigint | undefined, other: bigint | undefined): boolean {
    if (value === undefined || other === undefined) return false;
    return this.#is_highest ? value >= other : value <= other;
  }
}
