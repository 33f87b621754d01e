import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { nameOfTable } from "../src/iceberg/errors.ts";
import type { TableCatalog } from "../src/iceberg/model.ts";
import { Catalog } from "../src/catalog/catalog.ts";
import { SqliteStore } from "../src/catalog/sqlite/store.ts";
import type { Lake } from "../src/lake/lake.ts";
import { TableReports } from "../src/query/tables.ts";
import { FileStorage } from "../src/storage/file/storage.ts";
import { pathOfLocation } from "../src/storage/file/location.ts";
import type { Storage } from "../src/storage/storage.ts";

export interface LakeFigures {
  /** Files in the lake's folder. */
  files: number;
  /** Bytes of the tables' files: data, metadata, and files of older snapshots. */
  table_bytes: number;
  /** Bytes of all other files: the log, the catalog, dbt's artefacts. */
  other_bytes: number;
  /** Bytes of the data and delete files of the current snapshots. */
  live_bytes: number;
  snapshots: number;
  /** Size of the largest current metadata file. */
  metadata_bytes: number;
  /** Data and delete files of the current snapshot of the table with the most. */
  most_live_files: number;
  most_live_files_table: string;
}

/** Measures a lake's size on this disk from its folder and its manifests. */
export async function lakeFigures(
  lake: Lake,
  { catalog, storage }: { catalog: TableCatalog; storage: Storage },
): Promise<LakeFigures> {
  const warehouse = pathOfLocation(lake.warehouse);
  const found = globSync("**", { cwd: lake.folder, withFileTypes: true }).filter((entry) => entry.isFile());
  const figures: LakeFigures = {
    files: found.length,
    table_bytes: 0,
    other_bytes: 0,
    live_bytes: 0,
    snapshots: 0,
    metadata_bytes: 0,
    most_live_files: 0,
    most_live_files_table: "",
  };
  for (const { parentPath, name } of found) {
    // A running pipeline deletes files meanwhile.
    const size_bytes = statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0;
    figures[parentPath.startsWith(warehouse) ? "table_bytes" : "other_bytes"] += size_bytes;
  }
  const reports = new TableReports({ catalog, storage });
  for (const table of await reports.all()) {
    const files = await reports.files(table);
    figures.live_bytes += files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    figures.snapshots += table.metadata.snapshots.length;
    figures.metadata_bytes = Math.max(
      figures.metadata_bytes,
      statSync(pathOfLocation(table.metadata_location), { throwIfNoEntry: false })?.size ?? 0,
    );
    if (files.length > figures.most_live_files)
      Object.assign(figures, { most_live_files: files.length, most_live_files_table: nameOfTable(table.identifier) });
  }
  return figures;
}

/** Measures a lake beside the process that writes it, and again if a snapshot expires during the measurement. */
export async function lakeFiguresBeside(lake: Lake): Promise<LakeFigures> {
  const storage = new FileStorage();
  for (let attempts = 1; ; attempts += 1) {
    const catalog = new Catalog({ store: new SqliteStore(lake.catalog_file), storage, warehouse: lake.warehouse });
    try {
      return await lakeFigures(lake, { catalog, storage });
    } catch (error) {
      if (attempts === 5) throw error;
    } finally {
      await catalog.close();
    }
  }
}
