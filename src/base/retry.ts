import { backoffDelay_ms, type BackoffLimits } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { isDiskFull } from "./disk-full.ts";
import { OperatingError } from "./errors.ts";

const DEFAULT_BACKOFF: BackoffLimits = { base_ms: 1_000, cap_ms: 60_000 };
/** About an hour with the default backoff. A longer outage needs a person. */
export const MAX_CONSECUTIVE_FAILURES = 66;

export interface RetryOptions {
  clock: Clock;
  signal: AbortSignal;
  /** Number of consecutive failures after which the last error is thrown. */
  max_attempts: number;
  /** 1 s, doubled up to 60 s, by default. */
  backoff?: BackoffLimits;
  /** Called with each failure that is retried. */
  failed(error: OperatingError): void;
  /** Decides which failures are retried; `OperatingError.is_retryable` by default. */
  isRetryable?(error: OperatingError): boolean;
  /** The progress of long work, compared by identity: a failure after progress counts as the first. */
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

/** Waits; returns false if the signal aborts. */
export async function pause(clock: Clock, delay_ms: number, signal: AbortSignal): Promise<boolean> {
  await clock.wait(delay_ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return !signal.aborted;
}
