import { addLongs, canonicalLong, isSameLong } from "../long.ts";
import type { Long, Snapshot, TableMetadata, Update } from "../model.ts";
import type { JsonObject } from "../shape.ts";
import { change, snapshotOf, type Draft } from "./draft.ts";

/**
 * Keeps one snapshot per table and commit. DuckDB sends a snapshot for each statement of a transaction, such as the
 * DELETE and the INSERT of a dbt increment. The intermediate states were never current, but readers by version could
 * select them, and each costs a manifest list. Of such a chain only the last snapshot is kept: its manifest list names
 * all files of the chain.
 *
 * Sequence numbers stay as the engine chose them. The deletes of an earlier snapshot must keep a lower number than the
 * rows of a later one, to which they do not apply (spec, "Scan Planning").
 *
 * The manifests of the intermediate snapshots still have the ids of those as `added_snapshot_id`, just as manifests
 * outlive an expired snapshot. The manifest list is not rewritten: each commit would read one file and write another,
 * and a scan of a snapshot does not use these ids. Incremental readers do: they find a snapshot's changes in the
 * manifests with its id, and would miss those of the intermediate snapshots. So a chain is joined only if no
 * incremental reader reads rows from the result:
 *  - A snapshot of it adds delete files. Then the result is `overwrite` or `delete`, which incremental append scans
 *    skip, and which changelog scans reject because of the delete files. A chain of appends is kept as sent.
 *  - No intermediate snapshot removes data files (copy-on-write, such as PyIceberg's `overwrite`). Only the manifest
 *    list of such a snapshot names the removed files; changelog scans and incremental file cleanup need them.
 */
export function joinSnapshots(draft: Draft): void {
  const { metadata } = draft;
  if (draft.added_snapshot_ids.length < 2) return;
  for (const ref of Object.values(metadata.refs)) {
    const chain = chainOf(draft, ref["snapshot-id"]);
    const last = chain.at(-1);
    if (last === undefined || chain.length < 2 || !canJoin(chain)) continue;
    const joined = join(chain);
    const between = new Set(chain.slice(0, -1));
    const snapshots = draft.metadata.snapshots.filter((snapshot) => !between.has(snapshot));
    change(draft, { snapshots: snapshots.map((snapshot) => (snapshot === last ? joined : snapshot)) });
  }
}

/**
 * Manifest lists of snapshots that the commit added but did not keep. Nothing refers to them after the commit. Pure.
 */
export function listsWithoutSnapshot(updates: readonly Update[], next: TableMetadata): string[] {
  const added = updates.flatMap((update) =>
    update.action === "add-snapshot" ? [update["snapshot"] as JsonObject] : [],
  );
  // Newest first, because the snapshots that a commit added are the last of thousands.
  const dropped = added.filter((snapshot) => snapshotOf(next, snapshot["snapshot-id"] as Long) === undefined);
  if (dropped.length === 0 || next.properties["gc.enabled"] === "false") return [];
  const named = new Set(next.snapshots.map((snapshot) => snapshot["manifest-list"]));
  const lists = dropped.map((snapshot) => snapshot["manifest-list"]);
  return lists.filter((list): list is string => typeof list === "string" && !named.has(list) && isListOf(next, list));
}

/** Clients choose these locations, so only Avro files directly in the table's metadata folder are deleted. */
function isListOf({ location: table }: TableMetadata, location: string): boolean {
  const folder = `${table}/metadata/`;
  return location.startsWith(folder) && /^[\w.-]+\.avro$/.test(location.slice(folder.length));
}

/**
 * The snapshots that the commit added as a chain up to `head_id`, oldest first; no reference or statistics name those
 * before the head.
 */
function chainOf(draft: Draft, head_id: Long): Snapshot[] {
  const { metadata } = draft;
  const added = draft.added_snapshot_ids.flatMap((id) => snapshotOf(metadata, id) ?? []);
  const addedAs = (id: Long | undefined) =>
    added.find((snapshot) => id !== undefined && isSameLong(snapshot["snapshot-id"], id));
  const named = namedIn(metadata);
  const chain: Snapshot[] = [];
  let next = addedAs(head_id);
  while (next !== undefined) {
    chain.unshift(next);
    const parent = addedAs(next["parent-snapshot-id"]);
    if (parent === undefined || chain.includes(parent) || named.has(canonicalLong(parent["snapshot-id"]))) break;
    const children = added.filter((snapshot) => isSameLong(snapshot["parent-snapshot-id"], parent["snapshot-id"]));
    next = children.length === 1 ? parent : undefined;
  }
  return chain;
}

/** Snapshots that a reference or statistics name. */
function namedIn(metadata: TableMetadata): Set<Long> {
  const statistics = ["statistics", "partition-statistics"].flatMap(
    (key) => (metadata[key] ?? []) as { "snapshot-id": Long }[],
  );
  return new Set([...Object.values(metadata.refs), ...statistics].map((item) => canonicalLong(item["snapshot-id"])));
}

const JOINABLE = new Set(["append", "delete", "overwrite"]);

function canJoin(chain: readonly Snapshot[]): boolean {
  const adds_deletes = ({ summary }: Snapshot) => countIn(summary, "added-delete-files") > 0;
  const keeps_data = (snapshot: Snapshot) =>
    countIn(snapshot.summary, "deleted-data-files") === 0 &&
    (snapshot.summary["operation"] === "append" || adds_deletes(snapshot));
  return (
    chain.every(({ summary }) => JOINABLE.has(summary["operation"] ?? "")) &&
    chain.some(adds_deletes) &&
    chain.slice(0, -1).every(keeps_data)
  );
}

function join(chain: readonly Snapshot[]): Snapshot {
  const [first, last] = [chain[0], chain.at(-1)];
  if (first === undefined || last === undefined) throw new Error("a chain has snapshots");
  const { "parent-snapshot-id": _between, ...own } = last;
  return {
    ...own,
    ...parentOf(first),
    ...rowIdsOf(chain),
    summary: joinSummaries(chain.map(({ summary }) => summary)),
  };
}

function parentOf(snapshot: Snapshot): Pick<Snapshot, "parent-snapshot-id"> {
  return snapshot["parent-snapshot-id"] == null ? {} : { "parent-snapshot-id": snapshot["parent-snapshot-id"] };
}

/** Row lineage (spec, "Row Lineage"): the row ids of the chain are consecutive. */
function rowIdsOf(chain: readonly Snapshot[]): object {
  const fields = chain as readonly (Snapshot & { "first-row-id"?: Long | null; "added-rows"?: Long | null })[];
  const first_row_id = fields[0]?.["first-row-id"];
  if (first_row_id == null) return {};
  return {
    "first-row-id": first_row_id,
    "added-rows": fields.reduce<Long>((total, field) => addLongs(total, field["added-rows"] ?? 0), 0),
  };
}

const COUNT = /^(added|deleted|removed)-/;
/** Counts of partitions cannot be summed: snapshots may change the same ones. */
const PARTITIONS = /^(changed-partition-count$|partition-summaries-included$|partitions\.)/;
const TOTAL = /^total-/;

/**
 * Spec, "Optional Snapshot Summary Fields": counts of added and removed items are summed; totals are those of the last
 * snapshot. Snapshots without a count do not contribute to its sum. Other fields have the last value.
 */
function joinSummaries(summaries: readonly Snapshot["summary"][]): Snapshot["summary"] {
  const last = summaries.at(-1) ?? {};
  const joined: Snapshot["summary"] = {};
  for (const summary of summaries) {
    for (const [name, value] of Object.entries(summary)) {
      if (PARTITIONS.test(name) || (TOTAL.test(name) && last[name] === undefined)) continue;
      const is_sum = COUNT.test(name) && joined[name] !== undefined;
      joined[name] = is_sum ? String(countIn(joined, name) + countIn(summary, name)) : value;
    }
  }
  return { ...joined, operation: countIn(joined, "added-data-files") > 0 ? "overwrite" : "delete" };
}

/** Absent and malformed counts are 0; the number of files and rows in a commit fits a double. */
function countIn(summary: Snapshot["summary"], name: string): number {
  const text = summary[name] ?? "";
  return /^\d+$/.test(text) ? Number(text) : 0;
}
