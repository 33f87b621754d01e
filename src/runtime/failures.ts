import type { OperatingError } from "../base/errors.ts";

export interface Failure {
  code: string;
  message: string;
}

/** The failures of a pipeline's loops that no success has followed yet. The server shows them. */
export class ActiveFailures {
  /** Messages by code, until an increment succeeds. */
  readonly #failed = new Map<string, string>();
  /** Errors by the name of the source, or "ingest", until it continues. */
  readonly #stalled = new Map<string, OperatingError>();

  failed({ code, message }: OperatingError): void {
    this.#failed.set(code, message);
  }

  stalled(name: string, error: OperatingError | null): void {
    if (error === null) this.#stalled.delete(name);
    else this.#stalled.set(name, error);
  }

  /** An increment succeeded: the loops that failed work again. */
  recovered(): void {
    this.#failed.clear();
  }

  /** One for each code. */
  list(): Failure[] {
    const stalled = [...this.#stalled.values()].map(({ code, message }) => [code, message] as const);
    return [...new Map([...stalled, ...this.#failed])].map(([code, message]) => ({ code, message }));
  }
}
