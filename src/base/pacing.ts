/**
 * When work is due whose cost depends little on the number of records: by the age or amount of its input. All bounds
 * are approximate, because the loops check them a few times a second.
 */
export interface Pacing {
  /** Due after this time since the last run if any input is pending, ... */
  interval_ms: number;
  /** ... or with this many pending records, ... */
  due_records: number;
  /** ... or with this many bytes of pending payload. */
  due_size_bytes: number;
  /**
   * The first interval after a start; each further one is twice as long, up to `interval_ms`. A new lake shows its
   * first figures within seconds, and a backlog is consumed soon.
   */
  first_interval_ms: number;
}

export interface Waiting {
  records: number;
  size_bytes: number;
}

/** The interval after the n-th run, from 1. */
export function intervalAfter_ms(
  { interval_ms, first_interval_ms }: Pick<Pacing, "interval_ms" | "first_interval_ms">,
  times: number,
): number {
  // After 32 doublings every interval is at its bound.
  return Math.min(interval_ms, first_interval_ms * 2 ** Math.min(32, Math.max(0, times - 1)));
}

/** Whether the amount of pending input makes work due before its interval has elapsed. */
export function isMuch(
  { due_records, due_size_bytes }: Pick<Pacing, "due_records" | "due_size_bytes">,
  { records, size_bytes }: Waiting,
): boolean {
  return records > 0 && (records >= due_records || size_bytes >= due_size_bytes);
}

/**
 * The interval that limits work to a share of a core: work of 6 s with a share of 0.1 starts at most once a minute.
 */
export function intervalForShare_ms(seconds: number, max_share: number): number {
  return (seconds * 1000) / max_share;
}

/**
 * Whether an interval has elapsed. Also true after the clock was set back, because the elapsed time is then unknown.
 */
export function hasPassed(elapsed_us: number, interval_ms: number): boolean {
  return elapsed_us >= interval_ms * 1000 || elapsed_us < 0;
}

/** Due with any pending input. */
export const AT_ONCE: Pacing = { interval_ms: 0, due_records: 1, due_size_bytes: 1, first_interval_ms: 0 };
