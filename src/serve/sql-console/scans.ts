import { nameOfTable } from "../../iceberg/errors.ts";
import type { TableScan } from "../../duckdb/profile.ts";
import type { TableSnapshot } from "../../duckdb/session.ts";
import { currentSnapshot } from "../../iceberg/stage.ts";
import type { TableReports } from "../../query/tables.ts";

/** Files and rows that one table scan read, out of the snapshot's total. */
export interface Scan {
  /** `layer.table`; null if unknown: the table is derived from the scanned files, and none was scanned. */
  table: string | null;
  files_read: number;
  rows_read: number;
  /** Data files and rows of the snapshot; null if a concurrent commit makes the snapshot uncertain. */
  files: number | null;
  rows: number | null;
}

/**
 * Adds the table and its size to the engine's scan counts. `snapshots` are the pinned snapshots. With `of_heads` the
 * query reads the current snapshots, so sizes are known only if the pinned ones are still current. `only` is the table
 * if the query names one.
 */
export async function describeScans(
  reports: TableReports,
  scans: readonly TableScan[],
  snapshots: readonly TableSnapshot[],
  { of_heads, only }: { of_heads: boolean; only: string | null },
): Promise<Scan[]> {
  if (scans.length === 0) return [];
  const tables = await reports.all();
  return Promise.all(
    scans.map(async ({ file, files_read, rows_read }) => {
      const loaded = tables.find(({ identifier, metadata }) =>
        file === "" ? nameOfTable(identifier) === only : file.startsWith(`${metadata.location}/`),
      );
      const table = loaded === undefined ? null : nameOfTable(loaded.identifier);
      const snapshot_id = snapshots.find((snapshot) => snapshot.table === table)?.snapshot_id;
      const newest = loaded === undefined ? null : currentSnapshot(loaded.metadata);
      const is_certain =
        loaded !== undefined &&
        snapshot_id !== undefined &&
        (!of_heads || String(newest?.["snapshot-id"]) === snapshot_id);
      const there = is_certain ? await reports.extent(loaded, snapshot_id) : null;
      return { table, files_read, rows_read, files: there?.files ?? null, rows: there?.rows ?? null };
    }),
  );
}
