import { parseJson } from "../json.ts";
import { canonicalLong, isSameLong } from "../long.ts";
import type { Long, TableMetadata } from "../model.ts";
import { plausibleLog } from "./times.ts";

/**
 * The times at which snapshots became current. The snapshot log is not enough: when a snapshot is removed, every log
 * entry before it must be removed too (spec, "Table Metadata and Snapshots"). A commit that expires snapshots therefore
 * writes the entries of those it keeps to this table property: `[["<snapshot id>", <ms since the epoch>], ...]`. Ids
 * are strings, because many JSON parsers round integers beyond 2^53.
 */
export const HISTORY_PROPERTY = "coinlake.history";

export interface HistoryEntry {
  snapshot_id: Long;
  /** Time from which the snapshot was current, in milliseconds UTC. */
  at_ms: number;
}

/** Metadata is immutable, and the history of the same version is requested every second. */
const history_of = new WeakMap<TableMetadata, readonly HistoryEntry[]>();

/**
 * When each snapshot that still exists became current, oldest first: the union of the property and the snapshot log. A
 * snapshot that a rollback made current again has two entries. Between two entries other snapshots may have been
 * current that have expired. A property that is malformed counts as absent. Pure; the result is shared.
 */
export function historyOf(metadata: TableMetadata): readonly HistoryEntry[] {
  let history = history_of.get(metadata);
  if (history === undefined) {
    history = readHistory(metadata);
    history_of.set(metadata, history);
  }
  return history;
}

/**
 * The snapshot that was current at `at_ms`, or the nearest earlier one that still exists; null if there is none. Pure.
 */
export function currentAt(metadata: TableMetadata, at_ms: number): HistoryEntry | null {
  return historyOf(metadata).findLast((entry) => entry.at_ms <= at_ms) ?? null;
}

/** The entries after `known`, an entry of an earlier version of the metadata, which may have expired since. Pure. */
export function historySince(metadata: TableMetadata, known: HistoryEntry): readonly HistoryEntry[] {
  const history = historyOf(metadata);
  const index = history.findLastIndex(
    ({ snapshot_id, at_ms }) => isSameLong(snapshot_id, known.snapshot_id) && at_ms === known.at_ms,
  );
  return history.slice((index === -1 ? history.findLastIndex(({ at_ms }) => at_ms <= known.at_ms) : index) + 1);
}

/**
 * The property's text for a commit that removes all snapshots except `kept_snapshot_ids`. The same commit must set it.
 * Pure.
 */
export function historyProperty(metadata: TableMetadata, kept_snapshot_ids: Iterable<Long>): string {
  const kept = new Set(Array.from(kept_snapshot_ids, canonicalLong));
  const entries = historyOf(metadata).filter(({ snapshot_id }) => kept.has(snapshot_id));
  return JSON.stringify(entries.map(({ snapshot_id, at_ms }) => [String(snapshot_id), at_ms]));
}

function readHistory(metadata: TableMetadata): HistoryEntry[] {
  const existing = new Set(metadata.snapshots.map((snapshot) => canonicalLong(snapshot["snapshot-id"])));
  const logged = plausibleLog(metadata);
  const entries = new Map<string, HistoryEntry>();
  for (const entry of [...propertyEntries(metadata.properties[HISTORY_PROPERTY]), ...logged]) {
    if (existing.has(entry.snapshot_id)) entries.set(`${entry.snapshot_id} ${entry.at_ms}`, entry);
  }
  // A stable sort: of entries with the same millisecond, the log's newest stays last.
  return [...entries.values()].sort((a, b) => a.at_ms - b.at_ms);
}

function propertyEntries(text: string | undefined): HistoryEntry[] {
  if (text === undefined) return [];
  try {
    const value = parseJson(text);
    return Array.isArray(value) ? value.flatMap(propertyEntry) : [];
  } catch {
    return [];
  }
}

const INTEGER = /^\d{1,19}$/;

function propertyEntry(value: unknown): HistoryEntry[] {
  if (!Array.isArray(value)) return [];
  const [id, at_ms] = value as unknown[];
  if (!["string", "number", "bigint"].includes(typeof id) || !INTEGER.test(String(id))) return [];
  return typeof at_ms === "number" && Number.isSafeInteger(at_ms)
    ? [{ snapshot_id: canonicalLong(BigInt(String(id))), at_ms }]
    : [];
}
