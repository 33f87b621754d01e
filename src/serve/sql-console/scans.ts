import { nameOfTable } from "../../iceberg/errors.ts";
import type { TableScan } from "../../duckdb/profile.ts";
import type { TableSnapshot } from "../../duckdb/session.ts";
import { currentSnapshot } from "../../iceberg/stage.ts";
import type { TableReports } from "../../query/tables.ts";

/** What one scan of a table read, of what there was. */
export interface Scan {
  /** `layer.table`; null where it cannot be told: the engine names files, and no file was left to be read. */
  table: string | null;
  files_read: number;
  rows_read: number;
  /** Data files and rows at the snapshot that was read; null where that cannot be told, because a commit came at the same time. */
  files: number | null;
  rows: number | null;
}

/**
 * Gives the engine's counts the table and its size. `snapshots` are those that the query read; with `of_heads` it may have read
 * newer ones in their place, and then they have to be the newest. `only` is the one table that was read, if there is one.
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
