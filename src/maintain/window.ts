import type { Long, TableMetadata } from "../iceberg/model.ts";

/**
 * The window in which a file's rows were committed. A snapshot's time is known while the snapshot is retained, which is
 * long enough for a writer's file; a file that compaction made has its window in its name. The window affects only how
 * files are merged, never the rows.
 */

/** Length of a window. Snapshots of a past day are retained at this distance, each right after a window was merged. */
const WINDOW_MS = 3_600_000;

/** The start of the window that contains a time. */
export function windowOf(at_ms: number): number {
  return Math.floor(at_ms / WINDOW_MS) * WINDOW_MS;
}

/** Name of a data file that compaction writes. */
export function compactedFileName(window_ms: number, id: string): string {
  const digits = new Date(Math.max(0, window_ms)).toISOString().replaceAll(/[-:]/g, "");
  return `${digits.slice(0, "yyyymmddThh".length)}-${id}.parquet`;
}

const NAMED = /\/(\d{4})(\d{2})(\d{2})T(\d{2})-[0-9a-f-]{36}\.parquet$/;

/**
 * A file's window, by its name, or else by the newest retained snapshot with the same or a lower sequence number;
 * `-Infinity` where there is none.
 */
export function windowsOf({ snapshots }: TableMetadata): (location: string, sequence_number: Long) => number {
  const known = snapshots
    .map((snapshot) => ({ sequence_number: snapshot["sequence-number"], at_ms: Number(snapshot["timestamp-ms"]) }))
    .sort((a, b) => Number(a.sequence_number > b.sequence_number) - Number(a.sequence_number < b.sequence_number));
  return (location, sequence_number) => {
    const [, year, month, day, hour] = NAMED.exec(location) ?? [];
    if (year !== undefined) return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour));
    const at = known.findLast((snapshot) => snapshot.sequence_number <= sequence_number);
    return at === undefined ? Number.NEGATIVE_INFINITY : windowOf(at.at_ms);
  };
}
