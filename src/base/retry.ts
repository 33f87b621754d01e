import type { Clock } from "./clock.ts";
import { isDiskFull } from "./disk-full.ts";
import { OperatingError } from "./errors.ts";

/** The first pause after a failure; each is twice the one before, up to the bound. */
const RETRY_PAUSE_MS = 1_000;
const MAX_RETRY_PAUSE_MS = 60_000;
/** With the pauses between them: a server that is away for longer is somebody's to see. */
export const FAILURES_IN_AN_HOUR = 66;

export interface Patience {
  clock: Clock;
  signal: AbortSignal;
  /** The failure with this number is thrown. */
  most_failures: number;
  /** Told of each failure that is tried again. */
  failed(error: OperatingError): void;
  /** Which failures a retry may mend; without, those that say so. */
  mayMend?(error: OperatingError): boolean;
  /** How far the work has come, for work that goes on for long: failures are counted from the last time that this was another. */
  place?(): unknown;
}

/**
 * Tries again after failures that a retry may mend, such as the death of the dbt worker; null where a clean stop came between. A full
 * disk is waited for without end.
 */
export async function patiently<T>(
  { clock, signal, most_failures, failed, mayMend = isRetryable, place }: Patience,
  work: () => Promise<T>,
): Promise<T | null> {
  let reached = place?.();
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      if (signal.aborted) return null;
      if (place?.() !== reached) failures = 1;
      reached = place?.();
      if (!isDiskFull(error) && (!mayMend(error) || failures >= most_failures)) throw error;
      failed(error);
    }
    if (!(await pause(clock, retryPause_ms(failures), signal))) return null;
  }
}

export function isRetryable(error: unknown): error is OperatingError {
  return error instanceof OperatingError && error.is_retryable;
}

export function retryPause_ms(failures: number): number {
  return Math.min(MAX_RETRY_PAUSE_MS, RETRY_PAUSE_MS * 2 ** (failures - 1));
}

/** Whether to go on after the pause. */
export async function pause(clock: Clock, pause_ms: number, signal: AbortSignal): Promise<boolean> {
  await clock.wait(pause_ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return !signal.aborted;
}
