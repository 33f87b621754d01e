/**
 * When work that costs about the same for one record as for many is due: the older and the more its input, the sooner.
 * All bounds are soft: the loop that asks looks a few times a second.
 */
export interface Pacing {
  /** Due when this much time has passed since the last time, if anything waits at all; in milliseconds ... */
  interval_ms: number;
  /** ... or when so many records wait, whichever comes first ... */
  due_records: number;
  /** ... or so many bytes of payload. */
  due_size_bytes: number;
  /**
   * The intervals of a process that has just started: the first, and each twice the one before, up to `interval_ms`. A
   * new lake shows its first figures within seconds, and what waited for the start is soon taken.
   */
  first_interval_ms: number;
}

export interface Waiting {
  records: number;
  size_bytes: number;
}

/** The interval after the n-th time, from 1. */
export function intervalAfter_ms(
  { interval_ms, first_interval_ms }: Pick<Pacing, "interval_ms" | "first_interval_ms">,
  times: number,
): number {
  // Past 32 doublings every interval is at its bound.
  return Math.min(interval_ms, first_interval_ms * 2 ** Math.min(32, Math.max(0, times - 1)));
}

/** Whether so much waits that no interval counts. */
export function isMuch(
  { due_records, due_size_bytes }: Pick<Pacing, "due_records" | "due_size_bytes">,
  { records, size_bytes }: Waiting,
): boolean {
  return records > 0 && (records >= due_records || size_bytes >= due_size_bytes);
}

/**
 * The interval that keeps work to its share of a core: what takes 6 s of a core, with a share of 0.1, begins once a
 * minute at most.
 */
export function intervalForShare_ms(seconds: number, max_share: number): number {
  return (seconds * 1000) / max_share;
}

/** Whether an interval has passed. A clock that was set back has passed nobody knows how much. */
export function hasPassed(elapsed_us: number, interval_ms: number): boolean {
  return elapsed_us >= interval_ms * 1000 || elapsed_us < 0;
}

/** Due whenever anything waits. */
export const AT_ONCE: Pacing = { interval_ms: 0, due_records: 1, due_size_bytes: 1, first_interval_ms: 0 };
