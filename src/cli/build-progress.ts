import { hasOffsets, recordsBetween, type LogOffsets } from "../log/offsets.ts";

/** What an increment brought to gold, and what is still to come. */
export interface Increment {
  seconds: number;
  /** Log records that gold has and did not have before. */
  records: number;
  /** Log records that gold does not have yet. */
  waiting: number;
}

export interface BuildProgressOptions {
  /** Where gold is in the log. */
  consumed(): Promise<LogOffsets>;
  /** Where the log ends. */
  logEnd(): Promise<LogOffsets>;
  built(increment: Increment): void;
  /** Called once: gold has everything that the log held when the first increment was done. */
  caughtUp(): void;
}

/**
 * How far gold is behind the log, increment by increment. At a start the log holds a backlog: what came while nothing ran, or a new
 * source's history. The log's end as the first increment ends is the mark to reach, since the backlog arrives faster than dbt gets ready.
 */
export class BuildProgress {
  readonly #options: BuildProgressOptions;
  #consumed: Promise<LogOffsets>;
  #mark: LogOffsets | null = null;
  #is_caught_up = false;

  constructor(options: BuildProgressOptions) {
    this.#options = options;
    this.#consumed = options.consumed();
    // Read again after the first increment, where its error is seen.
    this.#consumed.catch(() => {});
  }

  /** After an increment that took so long. One call at a time. */
  async increment(seconds: number): Promise<void> {
    const before = await this.#consumed.catch(() => ({}));
    const [after, end] = await Promise.all([this.#options.consumed(), this.#options.logEnd()]);
    this.#consumed = Promise.resolve(after);
    this.#options.built({ seconds, records: recordsBetween(before, after), waiting: recordsBetween(after, end) });
    this.#mark ??= end;
    if (recordsBetween(after, this.#mark) === 0) this.#caughtUp();
  }

  /** A while after a start: a lake whose gold lacks nothing of the log, or may lack it, needs no increment to be up to date. */
  async settle({ has_backlog = false }: { has_backlog?: boolean } = {}): Promise<void> {
    const [consumed, end] = await Promise.all([this.#options.consumed(), this.#options.logEnd()]);
    if (hasOffsets(consumed) && (has_backlog || recordsBetween(consumed, end) === 0)) this.#caughtUp();
  }

  #caughtUp(): void {
    if (this.#is_caught_up) return;
    this.#is_caught_up = true;
    this.#options.caughtUp();
  }
}
