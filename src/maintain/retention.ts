import { canonicalLong } from "../iceberg/long.ts";
import { historyOf, type HistoryEntry } from "../iceberg/metadata/history.ts";
import type { Long, Snapshot, TableMetadata } from "../iceberg/model.ts";

/** Plans which snapshots a table retains. Pure; works on metadata. */

export interface RetentionTier {
  /** Snapshots up to this age ... */
  within_ms: number;
  /** ... are kept at this distance, all of them where it is 0. */
  every_ms: number;
  /**
   * The maximum number of snapshots of a tier that keeps all of them: the newest stay, and the next tier thins the
   * others. A clock that was ahead gives many snapshots the same future time, and age alone would never move them out
   * of the tier.
   */
  max_snapshots?: number;
}

export interface RetentionPolicy {
  /** Tiers by age, youngest first. Snapshots older than the last tier expire unless another rule retains them. */
  tiers: readonly RetentionTier[];
  /** Number of newest snapshots retained at any age. */
  min_snapshots: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * The default retention, which sets the precision of time travel: every commit for twenty minutes, half hours for six
 * hours, hours for a day, six hours for three days, days for a month, and months after that. That is about 110
 * snapshots of a table for the first month and one for each later month, at about three files each: a manifest list and
 * one or two manifests. Few data files belong only to old snapshots, because each period's retained snapshot is the one
 * that shares most of its files with later ones.
 */
export const DEFAULT_RETENTION: RetentionPolicy = {
  tiers: [
    { within_ms: 20 * MINUTE_MS, every_ms: 0, max_snapshots: 200 },
    { within_ms: 6 * HOUR_MS, every_ms: 30 * MINUTE_MS },
    { within_ms: DAY_MS, every_ms: HOUR_MS },
    { within_ms: 3 * DAY_MS, every_ms: 6 * HOUR_MS },
    { within_ms: 30 * DAY_MS, every_ms: DAY_MS },
    { within_ms: Number.POSITIVE_INFINITY, every_ms: 30 * DAY_MS },
  ],
  min_snapshots: 10,
};

/** Retention of Spark's procedure in a cluster. */
export const CLUSTER_RETENTION_MS = 7 * DAY_MS;
export const CLUSTER_RETENTION: RetentionPolicy = { ...keepWithin(CLUSTER_RETENTION_MS), min_snapshots: 10 };

/** Describes the retention, after "Retained:". Pure. */
export function describeRetention({ tiers, min_snapshots }: RetentionPolicy): string {
  const parts = tiers.map(({ within_ms, every_ms }, index) => {
    const kept = every_ms === 0 ? "every snapshot" : `one per ${describeSpan(every_ms)}`;
    if (!Number.isFinite(within_ms)) return `${kept} after that`;
    return index === 0
      ? `${kept} of the last ${describeSpan(within_ms)}`
      : `${kept} up to ${describeSpan(within_ms, true)}`;
  });
  const newest = min_snapshots > 1 ? `; the newest ${min_snapshots} at any age` : "";
  return `${parts.join(", then ")}${newest}`;
}

/** Formats a span in the largest unit that divides it: "30 minutes"; "hour" for one, or "1 hour" if `with_one`. */
function describeSpan(span_ms: number, with_one = false): string {
  const [unit_ms, unit] = (
    [
      [DAY_MS, "day"],
      [HOUR_MS, "hour"],
    ] as const
  ).find(([size_ms]) => span_ms % size_ms === 0) ?? [MINUTE_MS, "minute"];
  const count = Math.round(span_ms / unit_ms);
  if (count !== 1) return `${count} ${unit}s`;
  return with_one ? `1 ${unit}` : unit;
}

/** Retains every snapshot that was current within an age. */
export function keepWithin(age_ms: number): RetentionPolicy {
  return { tiers: [{ within_ms: age_ms, every_ms: 0 }], min_snapshots: 1 };
}

/** Retention of snapshots that never were current, such as staged ones. */
const UNREFERENCED_MS = 7 * DAY_MS;

/**
 * Ids of the retained snapshots: those that were current, as selected by the policy's tiers; and always every snapshot
 * that a branch or tag names, the ancestors of branches, and young snapshots that never were current.
 */
export function snapshotsToKeep(metadata: TableMetadata, policy: RetentionPolicy, now_ms: number): Set<Long> {
  const by_id = new Map(metadata.snapshots.map((snapshot) => [canonicalLong(snapshot["snapshot-id"]), snapshot]));
  const history = historyOf(metadata).filter(({ snapshot_id }) => by_id.has(snapshot_id));
  const kept = referencedSnapshots(metadata, by_id);
  for (const { snapshot_id } of history.slice(-policy.min_snapshots)) kept.add(snapshot_id);
  const unsettledBytes = ({ snapshot_id }: HistoryEntry): number => unsettledIfCompacted(by_id.get(snapshot_id));
  for (const tier of policy.tiers)
    for (const { snapshot_id } of keptBy(tier, history, unsettledBytes, now_ms)) kept.add(snapshot_id);
  const was_current = new Set(history.map(({ snapshot_id }) => snapshot_id));
  for (const [id, snapshot] of by_id) {
    if (!was_current.has(id) && now_ms - Number(snapshot["timestamp-ms"]) <= UNREFERENCED_MS) kept.add(id);
  }
  return kept;
}

/**
 * For any moment within the tier, retains the snapshot that was current then, or one that was current less than twice
 * the tier's distance earlier; repeated application keeps this property. Of a period's snapshots that a compaction
 * made, it retains the one with the fewest bytes that will be written again, which shares most files with later ones;
 * without such a snapshot, the last; and the first too where the period before is empty. The period before the tier
 * counts as part of the tier. The last entry before that period stays as well, because it may have been current within
 * the period.
 */
function keptBy(
  { within_ms, every_ms, max_snapshots = Number.POSITIVE_INFINITY }: RetentionTier,
  history: readonly HistoryEntry[],
  unsettledBytes: (entry: HistoryEntry) => number,
  now_ms: number,
): HistoryEntry[] {
  const oldest_ms = now_ms - within_ms;
  const start_ms =
    every_ms === 0 || oldest_ms === Number.NEGATIVE_INFINITY
      ? oldest_ms
      : (Math.floor(oldest_ms / every_ms) - 1) * every_ms;
  const young = history.filter(({ at_ms }) => at_ms >= start_ms);
  const kept = history.filter(({ at_ms }) => at_ms < start_ms).slice(-1);
  if (every_ms === 0) return [...kept, ...young.slice(-max_snapshots)];
  const periods = Map.groupBy(young, ({ at_ms }) => Math.floor(at_ms / every_ms));
  for (const [period, entries] of periods) {
    const [first] = entries;
    const least = Math.min(...entries.map(unsettledBytes));
    const chosen = entries.findLast((entry) => unsettledBytes(entry) === least);
    if (first !== undefined && !periods.has(period - 1)) kept.push(first);
    if (chosen !== undefined) kept.push(chosen);
  }
  return kept;
}

/** Summary field of compaction's snapshots: bytes of its files that later compactions will write again. */
export const UNSETTLED_BYTES = "coinlake.unsettled-bytes";

/**
 * `Infinity` for a snapshot that no compaction made; the largest number where a compaction's summary lacks the field.
 */
function unsettledIfCompacted(snapshot: Snapshot | undefined): number {
  if (snapshot?.summary["operation"] !== "replace") return Number.POSITIVE_INFINITY;
  const bytes = Number(snapshot.summary[UNSETTLED_BYTES] ?? NaN);
  return Number.isFinite(bytes) ? bytes : Number.MAX_VALUE;
}

/** Snapshots that refs name, and the ancestors of branches other than main. */
function referencedSnapshots(metadata: TableMetadata, by_id: ReadonlyMap<Long, Snapshot>): Set<Long> {
  const kept = new Set<Long>();
  for (const [name, ref] of Object.entries(metadata.refs)) {
    for (let id: Long | null | undefined = canonicalLong(ref["snapshot-id"]); id != null;) {
      kept.add(id);
      const parent: Long | null | undefined =
        ref.type === "branch" && name !== "main" ? by_id.get(id)?.["parent-snapshot-id"] : null;
      id = parent == null || kept.has(canonicalLong(parent)) ? null : canonicalLong(parent);
    }
  }
  const current = metadata["current-snapshot-id"];
  if (current !== null) kept.add(canonicalLong(current));
  return kept;
}
