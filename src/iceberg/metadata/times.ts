import { canonicalLong } from "../long.ts";
import type { Long, Snapshot, TableMetadata } from "../model.ts";

/**
 * Correction of times in metadata that were written with a wrong clock. Stored times never decrease: after commits with
 * a clock one day ahead, the snapshot log and `last-updated-ms` keep that time until it is reached, as the
 * specification requires. Readers cannot use such times. DuckDB reads a table at the begin of its transaction, so it
 * silently reads an older snapshot and rejects `AT (VERSION => …)`; time travel finds the wrong snapshot. The catalog
 * therefore returns metadata without future times (see `withoutFutureTimes`), and histories with consistent times (see
 * `plausibleLog`). Both are views: nothing is rewritten, because the present clock may be the wrong one.
 */

type LogEntry = TableMetadata["snapshot-log"][number];

export interface TimedSnapshot {
  snapshot_id: Long;
  at_ms: number;
}

/**
 * The time from which each snapshot of the log was current. An entry with a delayed time, because the log must not
 * decrease, gets the time that its committer gave to the snapshot. If times contradict each other, the longest
 * non-decreasing sequence is kept, and any other time is replaced by that of the entry before. Times after `now_ms` are
 * ignored and become `unknown_ms`, if that is later than the entry before. Pure.
 */
export function plausibleLog(metadata: TableMetadata, now_ms = Infinity, unknown_ms = -Infinity): TimedSnapshot[] {
  const log = metadata["snapshot-log"];
  const times = ownTimes(log, metadata.snapshots);
  const is_plausible = risingMembers(times.map((time) => (time > now_ms ? null : time)));
  const first_known = times.find((_, index) => is_plausible[index]);
  let before_ms = Math.min(first_known ?? Infinity, unknown_ms);
  return log.map((entry, index) => {
    const time = times[index] as number;
    if (is_plausible[index]) before_ms = time;
    else if (before_ms === -Infinity) before_ms = first_known ?? time;
    else if (time > now_ms)
      before_ms = Math.max(before_ms, Math.min(unknown_ms, nextKnown(times, is_plausible, index)));
    return { snapshot_id: canonicalLong(entry["snapshot-id"]), at_ms: before_ms };
  });
}

/**
 * The metadata without times after `now_ms`; the same object if it has none. Unknown times become `unknown_ms`, which
 * must be earlier than the begin of any transaction that may read the metadata. Pure.
 */
export function withoutFutureTimes(metadata: TableMetadata, now_ms: number, unknown_ms: number): TableMetadata {
  if (!hasFutureTimes(metadata, now_ms)) return metadata;
  const timed = plausibleLog(metadata, now_ms, unknown_ms);
  // All times must differ: DuckDB sorts the log again, with an unstable algorithm.
  for (const [index, entry] of timed.entries())
    entry.at_ms = Math.max(entry.at_ms, (timed[index - 1]?.at_ms ?? -Infinity) + 1);
  const log_time = new Map<Long, number>();
  for (const { snapshot_id, at_ms } of timed) if (!log_time.has(snapshot_id)) log_time.set(snapshot_id, at_ms);
  const last_ms = timed.at(-1)?.at_ms ?? unknown_ms;
  let updated_ms = -Infinity;
  const metadata_log = metadata["metadata-log"].map((entry) => {
    const time = Number(entry["timestamp-ms"]);
    updated_ms = Math.max(updated_ms, time > now_ms ? Math.min(unknown_ms, last_ms) : time);
    return { ...entry, "timestamp-ms": updated_ms };
  });
  return {
    ...metadata,
    "last-updated-ms": Math.max(updated_ms, last_ms),
    snapshots: metadata.snapshots.map((snapshot) => {
      if (Number(snapshot["timestamp-ms"]) <= now_ms) return snapshot;
      return { ...snapshot, "timestamp-ms": log_time.get(canonicalLong(snapshot["snapshot-id"])) ?? unknown_ms };
    }),
    "snapshot-log": timed.map(({ snapshot_id, at_ms }) => ({ "snapshot-id": snapshot_id, "timestamp-ms": at_ms })),
    "metadata-log": metadata_log,
  };
}

/** Checks snapshots instead of the snapshot log, which lacks those of other branches. */
function hasFutureTimes(metadata: TableMetadata, now_ms: number): boolean {
  if (Number(metadata["last-updated-ms"]) > now_ms) return true;
  return metadata.snapshots.some((snapshot) => snapshot["timestamp-ms"] > now_ms);
}

/** The time of each entry; for a new snapshot, the committer's time if the log has a later one. */
function ownTimes(log: readonly LogEntry[], snapshots: readonly Snapshot[]): number[] {
  const by_id = new Map(snapshots.map((snapshot) => [canonicalLong(snapshot["snapshot-id"]), snapshot]));
  let newest: Long = -1;
  return log.map((entry) => {
    const time = Number(entry["timestamp-ms"]);
    const snapshot = by_id.get(canonicalLong(entry["snapshot-id"]));
    if (snapshot === undefined) return time;
    const is_new = snapshot["sequence-number"] > newest;
    if (is_new) newest = snapshot["sequence-number"];
    return is_new ? Math.min(time, Number(snapshot["timestamp-ms"])) : time;
  });
}

function nextKnown(times: readonly number[], is_known: readonly boolean[], index: number): number {
  for (let next = index + 1; next < times.length; next += 1) if (is_known[next]) return times[next] as number;
  return Infinity;
}

/** The members of the longest non-decreasing sequence; null is never a member. Pure. */
function risingMembers(times: readonly (number | null)[]): boolean[] {
  /** By length: the member with the smallest time that ends a sequence of that length. */
  const ends: number[] = [];
  const previous = times.map(() => -1);
  const timeAt = (index: number | undefined): number => times[index ?? -1] ?? Infinity;
  times.forEach((time, index) => {
    if (time === null) return;
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (timeAt(ends[middle]) <= time) low = middle + 1;
      else high = middle;
    }
    previous[index] = ends[low - 1] ?? -1;
    ends[low] = index;
  });
  const members = times.map(() => false);
  for (let index = ends.at(-1) ?? -1; index >= 0; index = previous[index] as number) members[index] = true;
  return members;
}
