import { ERROR_CODES, type ErrorCode } from "./error-codes.ts";

/**
 * Three kinds of failure:
 * - OperatingError: the environment failed, and the outcome is known. Clean up, retry or report it.
 * - UnknownOutcome: a commit was sent, and no response arrived. Read the state back; never delete files that the commit
 *   may have published.
 * - a programming error: `assert` and stop. It has no class here on purpose.
 */
export class OperatingError extends Error {
  /** Stable: scripts and tests match on the code, never on the message. */
  readonly code: ErrorCode;
  readonly is_retryable: boolean;
  /** What a person can do about it, as one imperative sentence. */
  readonly next_step: string;

  /**
   * `message` says what failed and why, without a final period, which `explain` adds. `is_retryable` is for codes that
   * are retryable after some causes only; by default the code decides.
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: { next_step: string; is_retryable?: boolean; cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.is_retryable = options.is_retryable ?? ERROR_CODES[code].is_retryable ?? false;
    this.next_step = options.next_step;
  }
}

export class UnknownOutcome extends OperatingError {
  constructor(message: string, cause: unknown) {
    super("UNKNOWN_OUTCOME", message, {
      next_step: "Nothing to do: the committed state is read back before anything else is written.",
      cause,
    });
  }
}

/** The message of any thrown value: JavaScript can throw values that are not errors. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
