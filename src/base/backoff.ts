/** Limits of an exponential backoff. This file has no imports, because the dashboard uses it too. */
export interface BackoffLimits {
  /** The ceiling of the first delay; it doubles with each failure in a row. */
  base_ms: number;
  /** The highest ceiling. */
  cap_ms: number;
}

/**
 * The random part of a delay, as a share of its ceiling, so that clients that failed together do not return together.
 */
export interface Jitter {
  /** 0 for no jitter, 1 for a delay anywhere between 0 and the ceiling. */
  share: number;
  /** Numbers in [0, 1): `Math.random` in production, a seeded source in tests. */
  random?: () => number;
}

/** Past this many doublings every ceiling is at its cap. */
const MAX_DOUBLINGS = 40;

/** The delay after the n-th failure in a row (from 1): exponential, capped, less a random share. */
export function backoffDelay_ms(failures: number, { base_ms, cap_ms }: BackoffLimits, jitter?: Jitter): number {
  const ceiling_ms = Math.min(cap_ms, base_ms * 2 ** Math.min(MAX_DOUBLINGS, failures - 1));
  if (jitter === undefined) return ceiling_ms;
  const { share, random = Math.random } = jitter;
  return ceiling_ms * (1 - share + share * random());
}

export interface RetryAfterLimits extends BackoffLimits {
  /** A longer `retry-after` is shortened to this: the server may be mistaken, and asking is cheap. */
  retry_after_cap_ms: number;
}

/**
 * Counts failures in a row and gives the delay after each, with full jitter. A server's `retry-after` is a floor, up to
 * its own cap.
 */
export class Backoff {
  readonly #limits: RetryAfterLimits;
  readonly #random: () => number;
  #failures = 0;

  constructor(limits: RetryAfterLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Counts one more failure and returns the delay before the next attempt, in whole milliseconds. */
  next_ms(retry_after_ms: number | null = null): number {
    this.#failures += 1;
    const drawn_ms = Math.round(backoffDelay_ms(this.#failures, this.#limits, { share: 1, random: this.#random }));
    return Math.max(drawn_ms, Math.min(retry_after_ms ?? 0, this.#limits.retry_after_cap_ms));
  }

  reset(): void {
    this.#failures = 0;
  }
}

/**
 * The delay that an HTTP `retry-after` header asks for, in milliseconds; null where it is absent or unreadable.
 * RFC 9110 section 10.2.3: a whole number of seconds, or an HTTP date; a date in the past is no delay.
 */
export function retryAfter_ms(header: string | null | undefined, now_us: number): number | null {
  const text = header?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000);
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return null;
  const at_ms = Date.parse(text);
  return Number.isNaN(at_ms) ? null : Math.max(0, Math.ceil(at_ms - now_us / 1000));
}
