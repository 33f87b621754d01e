import { existsSync, readdirSync, statSync, type Dirent } from "node:fs";
import { join } from "node:path";
import { Catalog } from "../catalog/catalog.ts";
import { SqliteStore } from "../catalog/sqlite/store.ts";
import type { OperatingError } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import { TableReports } from "../query/tables.ts";
import { FileStorage } from "../storage/file/storage.ts";
import { pathOfLocation } from "../storage/file/location.ts";
import { isMissing } from "../storage/missing.ts";

/** The size of a lake on this disk. */
export interface LakeSize {
  /** Files in the lake's folder. */
  files: number;
  /** Size of the tables' files; null if the lake has so many files that they were only counted. */
  table_bytes: number | null;
  /**
   * Size of the data and delete files of the current snapshots; null likewise, or if maintenance deleted files
   * meanwhile.
   */
  live_bytes: number | null;
  /** Retained snapshots of all tables; null likewise. */
  snapshots: number | null;
}

export const MAX_FILES = 6_000;
/** Tables may take this many times their live size, because older snapshots keep files ... */
const MAX_AMPLIFICATION = 2;
/** ... plus this allowance for the metadata and small files of a new lake. */
const ALLOWED_BYTES = 64 * 1024 * 1024;

/** Counts files first, 100,000 in under a second; beyond the limit it does not measure their sizes. */
export async function measureLake(lake: Lake, warn: (warning: OperatingError) => void = () => {}): Promise<LakeSize> {
  const files = countFiles(lake.folder);
  if (files > MAX_FILES) return { files, table_bytes: null, live_bytes: null, snapshots: null };
  const live = await measureLive(lake, warn);
  return {
    files,
    table_bytes: bytesBelow(pathOfLocation(lake.warehouse)),
    live_bytes: live?.live_bytes ?? null,
    snapshots: live?.snapshots ?? null,
  };
}

/** The reason why the lake exceeds its size limit; null if it does not. Pure. */
export function overBudget({ files, table_bytes, live_bytes }: Omit<LakeSize, "snapshots">): string | null {
  if (files > MAX_FILES) return `${files.toLocaleString("en")} files, more than ${MAX_FILES.toLocaleString("en")}`;
  if (table_bytes === null || live_bytes === null || table_bytes <= allowedBytes(live_bytes)) return null;
  return `${megabytes(table_bytes)} of table files for ${megabytes(live_bytes)} of live data`;
}

/** The lake's sizes with their limits. Pure. */
export function describeSize({ files, table_bytes, live_bytes, snapshots }: LakeSize): string {
  const parts = [`${files.toLocaleString("en")} of at most ${MAX_FILES.toLocaleString("en")} files`];
  if (table_bytes !== null && live_bytes !== null) {
    const amplification = live_bytes === 0 ? "" : ` (amplification ${(table_bytes / live_bytes).toFixed(1)})`;
    parts.push(
      `${megabytes(table_bytes)} of at most ${megabytes(allowedBytes(live_bytes))} on disk for ` +
        `${megabytes(live_bytes)} of live data${amplification}`,
    );
  } else if (table_bytes !== null) parts.push(`${megabytes(table_bytes)} on disk`);
  if (snapshots !== null) parts.push(`${snapshots.toLocaleString("en")} snapshots`);
  return parts.join(", ");
}

function allowedBytes(live_bytes: number): number {
  return MAX_AMPLIFICATION * live_bytes + ALLOWED_BYTES;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;
}

function countFiles(folder: string): number {
  return listed(folder).reduce(
    (sum, entry) => sum + (entry.isDirectory() ? countFiles(join(folder, entry.name)) : 1),
    0,
  );
}

function bytesBelow(folder: string): number {
  return listed(folder).reduce(
    (sum, entry) =>
      sum + (entry.isDirectory() ? bytesBelow(join(folder, entry.name)) : bytesOf(join(folder, entry.name))),
    0,
  );
}

/** Directory entries; empty if a running pipeline deleted the folder meanwhile. */
function listed(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

async function measureLive(
  lake: Lake,
  warn: (warning: OperatingError) => void,
): Promise<{ live_bytes: number; snapshots: number } | null> {
  // Opening a missing catalog would create it.
  if (!existsSync(lake.catalog_file)) return null;
  const storage = new FileStorage();
  const catalog = new Catalog({ store: new SqliteStore(lake.catalog_file), storage, warehouse: lake.warehouse, warn });
  try {
    const reports = new TableReports({ catalog, storage });
    let [live_bytes, snapshots] = [0, 0];
    for (const table of await reports.all()) {
      snapshots += table.metadata.snapshots.length;
      for (const { size_bytes } of await reports.files(table)) live_bytes += size_bytes;
    }
    return { live_bytes, snapshots };
  } catch (error) {
    // The snapshot expired during the measurement.
    if (isMissing(error)) return null;
    throw error;
  } finally {
    await catalog.close();
  }
}
