import { firstIndex } from "./bisect.ts";

/** More steps than this are not kept, and the window is then shorter: a price that fell 50,000 times without a pause has long been told of. */
const MAX_STEPS = 50_000;

/**
 * The highest (or lowest) value since any moment, in a monotonic deque: a step is a value that none at its time or later reaches.
 * Times ascend, values descend strictly (ascend for the lowest), so the first step not before a moment is the extreme since then.
 * Adding is O(1) amortised, asking O(log steps).
 */
export class SlidingMaximum {
  readonly #is_highest: boolean;
  #times: number[] = [];
  #values: bigint[] = [];
  /** Steps before this index are forgotten; they are cut off when they are half of all. */
  #head = 0;

  constructor(extreme: "highest" | "lowest") {
    this.#is_highest = extreme === "highest";
  }

  get steps(): number {
    return this.#times.length - this.#head;
  }

  /** In any order of time, though appending is what it is fast at. */
  add(at_us: number, value: bigint): void {
    const end = this.#times.length;
    let index = end;
    if (end > this.#head && (this.#times[end - 1] ?? 0) > at_us) {
      index = firstIndex(this.#head, end, (step) => (this.#times[step] ?? 0) > at_us);
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
    if (this.steps > MAX_STEPS) this.#cut(this.#head + 1);
  }

  /** The extreme of what was added with a time of `since_us` or later; null where there is nothing. */
  since(since_us: number): bigint | null {
    const first = firstIndex(this.#head, this.#times.length, (step) => (this.#times[step] ?? 0) >= since_us);
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

  /** Whether `value` is as extreme as `other`, so that `other` counts no longer where it is not later. */
  #reaches(value: bigint | undefined, other: bigint | undefined): boolean {
    if (value === undefined || other === undefined) return false;
    return this.#is_highest ? value >= other : value <= other;
  }
}
