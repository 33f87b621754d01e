import { badRequest, commitConflict } from "../errors.ts";
import { addLongs, canonicalLong, isSameLong, maxLong } from "../long.ts";
import type { Long, Snapshot, TableMetadata } from "../model.ts";
import { arrayIn, asLong, longIn, objectIn, optionalLongIn, stringIn, stringMapIn, type JsonObject } from "../shape.ts";
import { change, snapshotOf, type Draft } from "./draft.ts";
import { HISTORY_PROPERTY, historyProperty } from "./history.ts";

/** Updates to snapshots, references, statistics and the snapshot log. */

const MAIN = "main";

export function addSnapshot(draft: Draft, update: JsonObject): void {
  const { metadata } = draft;
  const snapshot = readSnapshot(objectIn(update, "snapshot"), metadata["format-version"]);
  const snapshot_id = snapshot["snapshot-id"];
  if (
    metadata.schemas.length === 0 ||
    metadata["partition-specs"].length === 0 ||
    metadata["sort-orders"].length === 0
  ) {
    throw badRequest("Attempting to add a snapshot before a schema, a partition spec and a sort order are added");
  }
  if (snapshotOf(metadata, snapshot_id) !== undefined)
    throw badRequest(`Snapshot already exists for id: ${snapshot_id}`);
  const { "sequence-number": sequence_number, "parent-snapshot-id": parent_id } = snapshot;
  const last = metadata["last-sequence-number"];
  // Another commit came between: the writer's sequence number is stale, and only the writer can choose a new one.
  if (metadata["format-version"] > 1 && sequence_number <= last && parent_id != null) {
    throw commitConflict(
      `Cannot add snapshot with sequence number ${sequence_number} older than last sequence number ${last}`,
    );
  }
  draft.added_snapshot_ids.push(snapshot_id);
  change(draft, {
    snapshots: [...metadata.snapshots, snapshot],
    "last-sequence-number": maxLong(last, sequence_number),
  });
  if (metadata["format-version"] >= 3) change(draft, { "next-row-id": nextRowId(metadata, snapshot) });
}

/** Row lineage (spec, "Row Lineage"): the row ids of this snapshot start at or after the table's next row id. */
function nextRowId(metadata: TableMetadata, snapshot: Snapshot): Long {
  const fields = snapshot as unknown as JsonObject;
  const next = optionalLongIn(metadata, "next-row-id") ?? 0;
  const first = optionalLongIn(fields, "first-row-id");
  if (first === null) throw badRequest("Cannot add a snapshot: first-row-id is null");
  if (first < next)
    throw commitConflict(`Cannot add a snapshot, first-row-id is behind table next-row-id: ${first} < ${next}`);
  return addLongs(first, longIn(fields, "added-rows"));
}

function readSnapshot(snapshot: JsonObject, format_version: number): Snapshot {
  longIn(snapshot, "snapshot-id");
  longIn(snapshot, "timestamp-ms");
  optionalLongIn(snapshot, "parent-snapshot-id");
  if (snapshot["manifests"] == null || format_version > 1) stringIn(snapshot, "manifest-list");
  const sequence_number = optionalLongIn(snapshot, "sequence-number") ?? 0;
  return {
    ...snapshot,
    "sequence-number": sequence_number,
    summary: stringMapIn(snapshot, "summary"),
  } as unknown as Snapshot;
}

export function setSnapshotRef(draft: Draft, update: JsonObject): void {
  const { metadata } = draft;
  const name = stringIn(update, "ref-name");
  const ref = readRef(update, name);
  const before = Object.hasOwn(metadata.refs, name) ? metadata.refs[name] : undefined;
  if (before !== undefined && isSameRef(before, ref)) return;
  const snapshot_id = ref["snapshot-id"];
  const snapshot = snapshotOf(metadata, snapshot_id);
  if (snapshot === undefined) throw badRequest(`Cannot set ${name} to unknown snapshot: ${snapshot_id}`);
  change(draft, { refs: { ...metadata.refs, [name]: ref } });
  if (name !== MAIN) return;
  // A rollback to an old snapshot gets the current time; a snapshot of this commit has its own time.
  const is_added = draft.added_snapshot_ids.some((id) => isSameLong(id, snapshot_id));
  const wanted_ms = is_added ? snapshot["timestamp-ms"] : draft.now_ms;
  // Readers reject a table whose log is not sorted, so times must not decrease after the clock was set back. Nor may
  // two times be equal: DuckDB sorts the log again, by an unstable algorithm, and takes the last entry for the current
  // snapshot.
  const last_ms = metadata["snapshot-log"].at(-1)?.["timestamp-ms"];
  const at_ms = last_ms === undefined ? wanted_ms : maxLong(addLongs(last_ms, 1), wanted_ms);
  if (is_added) draft.main_snapshot_ids.push(snapshot_id);
  change(draft, {
    "current-snapshot-id": snapshot_id,
    "snapshot-log": [...metadata["snapshot-log"], { "snapshot-id": snapshot_id, "timestamp-ms": at_ms }],
  });
}

type Ref = TableMetadata["refs"][string];
const REF_LIMITS = ["min-snapshots-to-keep", "max-snapshot-age-ms", "max-ref-age-ms"] as const;

function readRef(update: JsonObject, name: string): Ref {
  const type = stringIn(update, "type");
  if (type !== "branch" && type !== "tag") throw badRequest(`Unknown reference type: ${type}`);
  if (name === MAIN && type === "tag") throw badRequest(`Cannot set ${MAIN} to a tag, it must be a branch`);
  const ref: Ref = { "snapshot-id": longIn(update, "snapshot-id"), type };
  for (const limit of REF_LIMITS) {
    const value = optionalLongIn(update, limit);
    if (value === null) continue;
    if (value <= 0) throw badRequest(`${limit} must be greater than 0`);
    if (type === "tag" && limit !== "max-ref-age-ms") throw badRequest(`Tags do not support setting ${limit}`);
    ref[limit] = value;
  }
  return ref;
}

function isSameRef(a: Ref, b: Ref): boolean {
  return (
    a.type === b.type &&
    ["snapshot-id", ...REF_LIMITS].every((key) => isSameLong(a[key] as Long | undefined, b[key] as Long | undefined))
  );
}

export function removeSnapshotRef(draft: Draft, update: JsonObject): void {
  removeRefs(draft, [stringIn(update, "ref-name")]);
}

function removeRefs(draft: Draft, names: readonly string[]): void {
  const { refs } = draft.metadata;
  if (!names.some((name) => Object.hasOwn(refs, name))) return;
  change(draft, { refs: Object.fromEntries(Object.entries(refs).filter(([name]) => !names.includes(name))) });
  if (names.includes(MAIN)) change(draft, { "current-snapshot-id": null });
}

/** Also removes their statistics, and the references to them. Unknown ids are no error. */
export function removeSnapshots(draft: Draft, update: JsonObject): void {
  const { metadata } = draft;
  const ids = new Set(arrayIn(update, "snapshot-ids").map((id) => canonicalLong(asLong(id, "snapshot-ids"))));
  const is_removed = (id: Long) => ids.has(canonicalLong(id));
  const snapshots = metadata.snapshots.filter((snapshot) => !is_removed(snapshot["snapshot-id"]));
  if (snapshots.length === metadata.snapshots.length) return;
  draft.has_removed_snapshots = true;
  change(draft, { snapshots });
  for (const key of ["statistics", "partition-statistics"]) {
    if (metadata[key] !== undefined)
      change(draft, { [key]: statisticsOf(metadata, key).filter((file) => !is_removed(longIn(file, "snapshot-id"))) });
  }
  const dangling = Object.entries(metadata.refs).filter(([, ref]) => is_removed(ref["snapshot-id"]));
  removeRefs(
    draft,
    dangling.map(([name]) => name),
  );
}

type StatisticsKey = "statistics" | "partition-statistics";

export function setStatistics(draft: Draft, update: JsonObject, key: StatisticsKey): void {
  const file = objectIn(update, key);
  const snapshot_id = longIn(file, "snapshot-id");
  stringIn(file, "statistics-path");
  const others = statisticsOf(draft.metadata, key).filter(
    (other) => !isSameLong(longIn(other, "snapshot-id"), snapshot_id),
  );
  change(draft, { [key]: [...others, file] });
}

export function removeStatistics(draft: Draft, update: JsonObject, key: StatisticsKey): void {
  const snapshot_id = longIn(update, "snapshot-id");
  const before = statisticsOf(draft.metadata, key);
  const kept = before.filter((file) => !isSameLong(longIn(file, "snapshot-id"), snapshot_id));
  if (kept.length < before.length) change(draft, { [key]: kept });
}

function statisticsOf(metadata: TableMetadata, key: string): JsonObject[] {
  return (metadata[key] ?? []) as JsonObject[];
}

/**
 * Completes the snapshot log, which states when each snapshot was current. Snapshots that the same commit added and
 * replaced were never current. If a snapshot was removed, all entries before it are removed too; otherwise its
 * predecessor would seem to have been current in its time.
 */
export function settleSnapshotLog(draft: Draft): void {
  const { metadata } = draft;
  const current_id = metadata["current-snapshot-id"];
  const intermediate = new Set(draft.main_snapshot_ids.filter((id) => !isSameLong(id, current_id)).map(canonicalLong));
  if (intermediate.size === 0 && !draft.has_removed_snapshots) return;
  const known = new Set(metadata.snapshots.map((snapshot) => canonicalLong(snapshot["snapshot-id"])));
  // A copy, because the history cache has metadata as its key, and this draft still changes.
  const before = { ...metadata };
  const metadata_log_length = metadata["snapshot-log"].length;
  let log: TableMetadata["snapshot-log"] = [];
  for (const entry of metadata["snapshot-log"]) {
    const id = canonicalLong(entry["snapshot-id"]);
    if (intermediate.has(id)) continue;
    if (known.has(id)) log.push(entry);
    else log = [];
  }
  change(draft, { "snapshot-log": log });
  if (log.length + intermediate.size < metadata_log_length) keepHistory(draft, before);
}

/**
 * Stores the entries that the log loses in the history property, for every writer that removes snapshots: see
 * history.ts.
 */
function keepHistory(draft: Draft, before: TableMetadata): void {
  const { metadata } = draft;
  const text = historyProperty(
    before,
    metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]),
  );
  change(draft, { properties: { ...metadata.properties, [HISTORY_PROPERTY]: text } });
}
