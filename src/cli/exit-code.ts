import { OperatingError } from "../base/errors.ts";

/** EX_TEMPFAIL of sysexits.h: a temporary condition; the same command may succeed later. */
export const TRY_AGAIN = 75;

/** Codes of errors for invalid input: unknown or ambiguous names. */
const INVALID_INPUT: ReadonlySet<string> = new Set(["NO_SUCH_SUBJECT", "AMBIGUOUS_SUBJECT"]);

const chosen = new WeakMap<Error, number>();

/** Returns the error, marked to end the process with this exit code in place of 1. */
export function withExitCode<T extends Error>(error: T, code: number): T {
  chosen.set(error, code);
  return error;
}

/** The code set by `withExitCode`; else 2 for invalid input and 1 for other failures. */
export function exitCodeOf(error: unknown): number {
  const code = error instanceof Error ? chosen.get(error) : undefined;
  return code ?? (error instanceof OperatingError && INVALID_INPUT.has(error.code) ? 2 : 1);
}
