import { recordsAhead } from "../transform/offsets.ts";

type Offsets = Readonly<Record<string, number>>;

/** The result of an increment, and the log records that remain. */
export interface Increment {
  seconds: number;
  /** Log records that the increment added to gold. */
  records: number;
  /** Log records that are not in gold yet. */
  waiting: number;
}

export interface BuildProgressOptions {
  /** The log offsets that gold has consumed. */
  consumed(): Promise<Offsets>;
  /** The end offsets of the log. */
  logEnd(): Promise<Offsets>;
  built(increment: Increment): void;
  /** Called once, when gold has every record that the log held at the end of the first increment. */
  caughtUp(): void;
}

/**
 * Gold's lag behind the log, updated after each increment. At a start the log holds a backlog: records that arrived
 * while the pipeline was down, or a new source's history. The target is the log's end after the first increment: the
 * backlog arrives faster than dbt starts.
 */
export class BuildProgress {
  readonly #options: BuildProgressOptions;
  #consumed: Promise<Offsets>;
  #target: Offsets | null = null;
  #is_caught_up = false;

  constructor(options: BuildProgressOptions) {
    this.#options = options;
    this.#consumed = options.consumed();
    // The first increment reads it again and reports its error.
    this.#consumed.catch(() => {});
  }

  /** Records an increment and its duration. Calls must not overlap. */
  async increment(seconds: number): Promise<void> {
    const before = await this.#consumed.catch(() => ({}));
    const [after, end] = await Promise.all([this.#options.consumed(), this.#options.logEnd()]);
    this.#consumed = Promise.resolve(after);
    this.#options.built({ seconds, records: recordsAhead(before, after), waiting: recordsAhead(after, end) });
    this.#target ??= end;
    if (recordsAhead(after, this.#target) === 0) this.#caughtUp();
  }

  /**
   * Called some seconds after a start: a lake without lag, or whose backlog others build, is up to date without an
   * increment.
   */
  async settle({ has_backlog = false }: { has_backlog?: boolean } = {}): Promise<void> {
    const [consumed, end] = await Promise.all([this.#options.consumed(), this.#options.logEnd()]);
    if (Object.keys(consumed).length > 0 && (has_backlog || recordsAhead(consumed, end) === 0)) this.#caughtUp();
  }

  #caughtUp(): void {
    if (this.#is_caught_up) return;
    this.#is_caught_up = true;
    this.#options.caughtUp();
  }
}
