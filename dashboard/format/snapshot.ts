import type { SnapshotDetail } from "../../src/serve/schemas/tables.ts";
import { formatCount } from "./number.ts";

/** A commit that wrote the same rows to other files. */
export function isCompaction({ operation }: Pick<SnapshotDetail, "operation">): boolean {
  return operation === "replace";
}

/** The rows that a commit added, or rewrote where it is a compaction; null where its summary does not say. */
export function formatRows(snapshot: Pick<SnapshotDetail, "operation" | "added_rows">): string | null {
  if (snapshot.added_rows === null) return null;
  const rows = formatCount(snapshot.added_rows);
  return isCompaction(snapshot) ? `${rows} rows rewritten` : `+${rows} rows`;
}
