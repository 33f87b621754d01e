export interface BackoffLimits {
  /** The first delay is drawn from 0 to this; it doubles with each failure in a row. */
  base_ms: number;
  /** No delay of our own is longer. */
  cap_ms: number;
  /** A server that asks for more than this is asked again earlier: it may be mistaken, and asking is cheap. */
  retry_after_cap_ms: number;
}

/**
 * Exponential back-off with full jitter: a delay between 0 and min(cap, base × 2^failures), so that clients that failed
 * together do not come back together. A server's `retry-after` is a floor, never shortened except by its own cap.
 */
export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #failures = 0;

  /** `random` gives numbers in [0, 1): Math.random in production, a seeded source in tests. */
  constructor(limits: BackoffLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** The delay before the next try, in whole milliseconds; counts one more failure. */
  next_ms(retry_after_ms: number | null = null): number {
    const { base_ms, cap_ms, retry_after_cap_ms } = this.#limits;
    const ceiling_ms = Math.min(cap_ms, base_ms * 2 ** this.#failures);
    this.#failures += 1;
    const drawn_ms = Math.round(this.#random() * ceiling_ms);
    return Math.max(drawn_ms, Math.min(retry_after_ms ?? 0, retry_after_cap_ms));
  }

  reset(): void {
    this.#failures = 0;
  }
}

/**
 * The delay that an HTTP `retry-after` header asks for, in milliseconds, or null where it is absent or unreadable.
 * RFC 9110 section 10.2.3: a whole number of seconds, or an HTTP date; a date in the past is no delay.
 */
export function retryAfter_ms(header: string | null | undefined, now_us: number): number | null {
  const text = header?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000);
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return null;
  const at_ms = Date.parse(text);
  return Number.isNaN(at_ms) ? null : Math.max(0, Math.ceil(at_ms - now_us / 1000));
}
