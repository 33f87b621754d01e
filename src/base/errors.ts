/**
 * Three failures, kept apart:
 *  - OperatingError: the world said no, and we know what happened. Clean up, retry or tell the person.
 *  - UnknownOutcome: a commit was sent and no answer came. Read back; never clean up what it may have published.
 *  - a programmer's error: `assert` and stop. It has no class here on purpose.
 */
export class OperatingError extends Error {
  /** Stable, upper snake case: scripts and tests match on it, never on the message. */
  readonly code: string;
  readonly is_retryable: boolean;
  /** What a person can do about it, as one imperative sentence. */
  readonly next_step: string;

  constructor(code: string, message: string, options: { next_step: string; is_retryable?: boolean; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.is_retryable = options.is_retryable ?? false;
    this.next_step = options.next_step;
  }
}

export class UnknownOutcome extends OperatingError {
  constructor(message: string, cause: unknown) {
    super("UNKNOWN_OUTCOME", message, {
      next_step: "Nothing to do: the committed state is read back before anything else is written.",
      is_retryable: true,
      cause,
    });
  }
}

/** The message of anything thrown; JavaScript lets people throw what is no Error. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
