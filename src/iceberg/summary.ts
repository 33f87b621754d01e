import { addLongs } from "./long.ts";
import type { Long, Snapshot } from "./model.ts";
import { CONTENT, type DataFile } from "./manifest-model.ts";

/**
 * Summary of a snapshot that appends data files (spec, "Optional Snapshot Summary Fields"). Omits a total that an
 * earlier writer did not state, because a wrong total is worse than none. Pure.
 */
export function appendSummary(parent: Snapshot | null, files: readonly DataFile[]): Record<string, string> {
  const rows = sum(files, rowsOf);
  const size_bytes = sum(files, sizeOf);
  const totals: [name: string, added: Long][] = [
    ["total-records", rows],
    ["total-files-size", size_bytes],
    ["total-data-files", files.length],
    ["total-delete-files", 0],
    ["total-position-deletes", 0],
    ["total-equality-deletes", 0],
  ];
  const summary: Record<string, string> = {
    operation: "append",
    "engine-name": "coinlake",
    "added-data-files": String(files.length),
    "added-records": String(rows),
    "added-files-size": String(size_bytes),
    "changed-partition-count": String(partitionsOf(files)),
  };
  addTotals(summary, parent, totals);
  return summary;
}

/**
 * Summary of a snapshot whose `added` files replace the `removed` ones: data files and the deletes that applied to
 * them. Pure.
 */
export function replaceSummary(
  parent: Snapshot | null,
  { added, removed }: { added: readonly DataFile[]; removed: readonly DataFile[] },
): Record<string, string> {
  const data = removed.filter(({ content }) => content === CONTENT.data);
  const deletes = removed.filter(({ content }) => content === CONTENT.position_deletes);
  const [rows_before, rows_after, deleted] = [sum(data, rowsOf), sum(added, rowsOf), sum(deletes, rowsOf)];
  const summary: Record<string, string> = {
    operation: "replace",
    "engine-name": "coinlake",
    "added-data-files": String(added.length),
    "deleted-data-files": String(data.length),
    "added-records": String(rows_after),
    "deleted-records": String(rows_before),
    "added-files-size": String(sum(added, sizeOf)),
    "removed-files-size": String(sum(removed, sizeOf)),
    "removed-position-delete-files": String(deletes.length),
    "removed-delete-files": String(deletes.length),
    "removed-position-deletes": String(deleted),
    "changed-partition-count": String(partitionsOf([...added, ...data])),
  };
  addTotals(summary, parent, [
    ["total-records", addLongs(rows_after, -BigInt(rows_before))],
    ["total-files-size", addLongs(sum(added, sizeOf), -BigInt(sum(removed, sizeOf)))],
    ["total-data-files", added.length - data.length],
    ["total-delete-files", -deletes.length],
    ["total-position-deletes", -BigInt(deleted)],
    ["total-equality-deletes", 0],
  ]);
  return summary;
}

/** A total below zero results from wrong counts of another writer, and is omitted. */
function addTotals(
  summary: Record<string, string>,
  parent: Snapshot | null,
  totals: readonly [name: string, added: Long][],
): void {
  for (const [name, added] of totals) {
    const before = parent === null ? "0" : parent.summary[name];
    const total = before !== undefined && /^\d+$/.test(before) ? addLongs(BigInt(before), added) : -1;
    if (total >= 0) summary[name] = String(total);
  }
}

function rowsOf({ record_count }: DataFile): Long {
  return record_count;
}

function sizeOf({ file_size_in_bytes }: DataFile): Long {
  return file_size_in_bytes;
}

function sum(files: readonly DataFile[], figure: (file: DataFile) => Long): Long {
  return files.reduce<Long>((total, file) => addLongs(total, figure(file)), 0);
}

function partitionsOf(files: readonly DataFile[]): number {
  return new Set(files.map(({ partition }) => JSON.stringify([...partition].map(([id, value]) => [id, String(value)]))))
    .size;
}
