import { ERROR_CODES } from "../base/error-codes.ts";
import { OperatingError } from "../base/errors.ts";

/** EX_TEMPFAIL of sysexits.h: a temporary condition; the same command may succeed later. */
export const TRY_AGAIN = 75;

/** Printed by `coinlake --help`. */
export const EXIT_CODES = `
Exit codes:
  0    success
  1    failure, such as a file, a network, a disk, damage or another process
  2    wrong use: an unknown command, option or name, or a missing or invalid value
  75   verify could not check the lake now; try again
  130  interrupted by Ctrl-C before the command was complete
\`dbt\` exits with dbt's own code.`;

const chosen = new WeakMap<Error, number>();

/** Marks the error, so that the process ends with this exit code instead of that of its error code; returns it. */
export function withExitCode<T extends Error>(error: T, code: number): T {
  chosen.set(error, code);
  return error;
}

/** The code set by `withExitCode`; else that which the error code declares; else 1. */
export function exitCodeOf(error: unknown): number {
  const code = error instanceof Error ? chosen.get(error) : undefined;
  return code ?? (error instanceof OperatingError ? ERROR_CODES[error.code].exit_code : undefined) ?? 1;
}
