import { addLongs } from "../catalog/long.ts";
import type { Long, Snapshot } from "../catalog/model.ts";
import type { DataFile } from "./manifest-model.ts";

/**
 * Summary of a snapshot that appends data files (spec, "Optional Snapshot Summary Fields"). A total that an earlier
 * writer did not keep is left out: a wrong one would be worse than none. Pure.
 */
export function appendSummary(parent: Snapshot | null, files: readonly DataFile[]): Record<string, string> {
  const sum = (of: (file: DataFile) => Long): Long => files.reduce<Long>((total, file) => addLongs(total, of(file)), 0);
  const rows = sum((file) => file.record_count);
  const size_bytes = sum((file) => file.file_size_in_bytes);
  const partitions = new Set(files.map(({ partition }) => JSON.stringify([...partition].map(([id, value]) => [id, String(value)]))));
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
    "changed-partition-count": String(partitions.size),
  };
  for (const [name, added] of totals) {
    const before = parent === null ? "0" : parent.summary[name];
    if (before !== undefined && /^\d+$/.test(before)) summary[name] = String(addLongs(BigInt(before), added));
  }
  return summary;
}
