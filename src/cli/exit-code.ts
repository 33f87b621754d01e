import type { ErrorCode } from "../base/error-codes.ts";
import { OperatingError } from "../base/errors.ts";

/** EX_TEMPFAIL of sysexits.h: nothing is wrong, and the same command may succeed later. */
export const TRY_AGAIN = 75;

/** Names that mean nothing, or several things. */
const TYPED_WRONG: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["SUBJECT_NOT_FOUND", "AMBIGUOUS_SUBJECT"]);

const chosen = new WeakMap<Error, number>();

/** The error, which ends the process with this exit code in place of 1. */
export function withExitCode<T extends Error>(error: T, code: number): T {
  chosen.set(error, code);
  return error;
}

/** 1 for a failure, 2 for wrong input; or what the command chose. */
export function exitCodeOf(error: unknown): number {
  const code = error instanceof Error ? chosen.get(error) : undefined;
  return code ?? (error instanceof OperatingError && TYPED_WRONG.has(error.code) ? 2 : 1);
}
