/** A line appears at most this often, and never in a command that takes less. */
const MIN_GAP_MS = 5_000;
/** A line appears at least this often while there is progress. */
const MAX_GAP_MS = 30_000;

/**
 * Progress for a log or a pipe, where a bar cannot be redrawn: a line for each tenth of the work, and one every 30
 * seconds. All parts of a command share one instance, so that many short parts print no line each.
 */
export class ProgressLines {
  readonly #write: (line: string) => void;
  readonly #now_ms: () => number;
  #printed_ms: number;
  #label: string | null = null;
  #tenth = 0;

  constructor(write: (line: string) => void, now_ms: () => number = () => performance.now()) {
    this.#write = write;
    this.#now_ms = now_ms;
    this.#printed_ms = now_ms();
  }

  update(label: string, done: number, total: number | null): void {
    const now_ms = this.#now_ms();
    const gap_ms = now_ms - this.#printed_ms;
    const tenth = total === null || total === 0 ? 0 : Math.min(10, Math.floor((done / total) * 10));
    const is_news = label !== this.#label || tenth > this.#tenth;
    if (gap_ms < (is_news ? MIN_GAP_MS : MAX_GAP_MS)) return;
    this.#label = label;
    this.#tenth = tenth;
    this.#printed_ms = now_ms;
    const count = done.toLocaleString("en");
    const share = total ? `${Math.floor((done / total) * 100)} % (${count} of ${total.toLocaleString("en")})` : count;
    this.#write(`${label}: ${share}`);
  }
}
