import { hasOffsets, recordsBetween, type LogOffsets } from "../log/offsets.ts";

/** The records that an increment added to gold, and those that still wait in the log. */
export interface Increment {
  seconds: number;
  /** Log records that the increment added. */
  records: number;
  /** Log records that are not in gold yet. */
  waiting: number;
}

export interface BuildProgressOptions {
  /** Log offsets that gold has consumed. */
  consumed(): Promise<LogOffsets>;
  /** The log's end offsets. */
  logEnd(): Promise<LogOffsets>;
  built(increment: Increment): void;
  /** Called once, when gold has all records that the log held at the end of the first increment. */
  caughtUp(): void;
}

/**
 * The lag of gold behind the log, increment by increment. At a start the log holds a backlog: records from before the
 * start, or a new source's history. The target is the log's end when the first increment ends, because the backlog
 * arrives before dbt is ready.
 */
export class BuildProgress {
  readonly #options: BuildProgressOptions;
  #consumed: Promise<LogOffsets>;
  #target: LogOffsets | null = null;
  #is_caught_up = false;

  constructor(options: BuildProgressOptions) {
    this.#options = options;
    this.#consumed = options.consumed();
    // The first increment reads it again and reports its error.
    this.#consumed.catch(() => {});
  }

  /** Resolves when gold's offsets at the start have been read. No increment may run before. */
  async began(): Promise<void> {
    await this.#consumed.catch(() => {});
  }

  /** Call after each increment, one call at a time. */
  async increment(seconds: number): Promise<void> {
    const before = await this.#consumed.catch(() => ({}));
    const [after, end] = await Promise.all([this.#options.consumed(), this.#options.logEnd()]);
    this.#consumed = Promise.resolve(after);
    this.#options.built({ seconds, records: recordsBetween(before, after), waiting: recordsBetween(after, end) });
    this.#target ??= end;
    if (recordsBetween(after, this.#target) === 0) this.#caughtUp();
  }

  /**
   * Call a while after the start: a lake without a backlog is caught up without an increment. `has_backlog` accepts a
   * backlog too. An increment may be running, and some of its tables may have the backlog: what counts is the state at
   * the start.
   */
  async settle({ has_backlog = false }: { has_backlog?: boolean } = {}): Promise<void> {
    const [consumed, end] = await Promise.all([this.#consumed, this.#options.logEnd()]);
    if (hasOffsets(consumed) && (has_backlog || recordsBetween(consumed, end) === 0)) this.#caughtUp();
  }

  #caughtUp(): void {
    if (this.#is_caught_up) return;
    this.#is_caught_up = true;
    this.#options.caughtUp();
  }
}
