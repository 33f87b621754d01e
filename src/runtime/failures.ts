import type { OperatingError } from "../base/errors.ts";

export interface Failure {
  code: string;
  message: string;
}

/** The error of each part of a pipeline that does not work at the moment. The server shows them. */
export class ActiveFailures {
  readonly #errors = new Map<string, OperatingError>();

  /** `part` is a source's name or that of a loop. `error` is null when the part works again. */
  set(part: string, error: OperatingError | null): void {
    if (error === null) this.#errors.delete(part);
    else this.#errors.set(part, error);
  }

  /** One for each code. */
  list(): Failure[] {
    const messages = new Map(Array.from(this.#errors.values(), ({ code, message }) => [code, message]));
    return Array.from(messages, ([code, message]) => ({ code, message }));
  }
}
