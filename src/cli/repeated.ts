import type { Clock } from "../base/clock.ts";

/** After this time without a repetition, a warning counts as new. */
const QUIET_US = 10 * 60e6;

interface Repeated {
  count: number;
  since_us: number;
  last_us: number;
}

/** Limits repeated warnings: prints the first, counts the rest, and prints the count at 10, 100, 1,000 and so on. */
export class RepeatedWarnings {
  readonly #clock: Pick<Clock, "now_us">;
  readonly #warn: (text: string) => void;
  readonly #known = new Map<string, Repeated>();

  constructor(clock: Pick<Clock, "now_us">, warn: (text: string) => void) {
    this.#clock = clock;
    this.#warn = warn;
  }

  /** `key` names the cause; the text may differ from time to time. */
  warn(key: string, text: string): void {
    const now_us = this.#clock.now_us();
    const before = this.#known.get(key);
    if (before === undefined || now_us - before.last_us > QUIET_US) {
      this.#known.set(key, { count: 1, since_us: now_us, last_us: now_us });
      this.#warn(text);
      return;
    }
    before.count += 1;
    before.last_us = now_us;
    if (isPowerOfTen(before.count))
      this.#warn(`${before.count.toLocaleString("en")} times since ${clockTime(before.since_us)}: ${text}`);
  }

  /** Ends a cause. Returns the number of its warnings, null if there were none. */
  end(key: string): number | null {
    const count = this.#known.get(key)?.count ?? null;
    this.#known.delete(key);
    return count;
  }

  endAll(): number {
    const count = [...this.#known.values()].reduce((sum, one) => sum + one.count, 0);
    this.#known.clear();
    return count;
  }
}

function isPowerOfTen(count: number): boolean {
  return /^10+$/.test(String(count));
}

function clockTime(at_us: number): string {
  return `${new Date(at_us / 1000).toISOString().slice(11, 19)}Z`;
}
