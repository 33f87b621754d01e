import type { ErrorCode } from "../base/error-codes.ts";
import { OperatingError } from "../base/errors.ts";

/** EX_TEMPFAIL of sysexits.h: a temporary condition; the same command may succeed later. */
export const TRY_AGAIN = 75;

/** Codes of errors for invalid input: unknown or ambiguous names. */
const INVALID_INPUT: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["SUBJECT_NOT_FOUND", "AMBIGUOUS_SUBJECT"]);

const chosen = new WeakMap<Error, number>();

/** Marks the error, so that the process ends with this exit code instead of 1; returns it. */
export function withExitCode<T extends Error>(error: T, code: number): T {
  chosen.set(error, code);
  return error;
}

/** The code set by `withExitCode`; else 2 for invalid input and 1 for other failures. */
export function exitCodeOf(error: unknown): number {
  const code = error instanceof Error ? chosen.get(error) : undefined;
  return code ?? (error instanceof OperatingError && INVALID_INPUT.has(error.code) ? 2 : 1);
}
