import { backoffDelay_ms, type BackoffLimits } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { isDiskFull } from "./disk-full.ts";
import { OperatingError } from "./errors.ts";

const DEFAULT_BACKOFF: BackoffLimits = { base_ms: 1_000, cap_ms: 60_000 };
/** About an hour with the default backoff. An outage that lasts longer needs a person. */
export const MAX_CONSECUTIVE_FAILURES = 66;

export interface RetryOptions {
  clock: Clock;
  signal: AbortSignal;
  /** The failure of the last attempt is thrown. */
  max_attempts: number;
  /** 1 s, doubled up to 60 s, unless given. */
  backoff?: BackoffLimits;
  /** Called with each failure that is retried. */
  failed(error: OperatingError): void;
  /** Which failures a retry may resolve; `OperatingError.is_retryable` unless given. */
  isRetryable?(error: OperatingError): boolean;
  /** The progress of long work: a failure that comes after progress counts as the first. Compared by identity. */
  progress?(): unknown;
}

/**
 * Runs `work` until it succeeds. Retries operating errors that a retry may resolve, such as the death of the dbt
 * worker, with backoff; returns null once the signal aborts. A full disk is retried without limit, because only a
 * person can free space.
 */
export async function withRetry<T>(options: RetryOptions, work: () => Promise<T>): Promise<T | null> {
  const { clock, signal, max_attempts, failed, progress, backoff, isRetryable: mayRetry = isRetryable } = options;
  let reached = progress?.();
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      if (signal.aborted) return null;
      if (progress?.() !== reached) failures = 1;
      reached = progress?.();
      if (!isDiskFull(error) && (!mayRetry(error) || failures >= max_attempts)) throw error;
      failed(error);
    }
    if (!(await pause(clock, retryDelay_ms(failures, backoff), signal))) return null;
  }
}

export function isRetryable(error: unknown): error is OperatingError {
  return error instanceof OperatingError && error.is_retryable;
}

/** The delay after the n-th failure in a row, from 1. */
export function retryDelay_ms(failures: number, backoff: BackoffLimits = DEFAULT_BACKOFF): number {
  return backoffDelay_ms(failures, backoff);
}

/** Waits; returns false where the signal aborted. */
export async function pause(clock: Clock, delay_ms: number, signal: AbortSignal): Promise<boolean> {
  await clock.wait(delay_ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return !signal.aborted;
}
