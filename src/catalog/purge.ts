import { deleteOwnFiles } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { isBelow, overlaps } from "./confinement.ts";
import type { LoadedTable } from "../iceberg/model.ts";

/**
 * The reason why the files of a purged table must stay, or null. Deletion is by folder, so the table must have a
 * separate folder: below the warehouse, and neither inside nor around the folder of another table. Called before the
 * table is dropped.
 */
export async function reasonToKeepFiles(
  table: LoadedTable,
  warehouse: string,
  others: AsyncIterable<{ table: string; folder: string }>,
): Promise<string | null> {
  const { location, properties } = table.metadata;
  if (properties["gc.enabled"] === "false") return "its property gc.enabled is false";
  if (!isBelow(location, warehouse)) return `its folder ${location} is not inside the warehouse ${warehouse}`;
  for await (const other of others) {
    if (overlaps(location, other.folder))
      return `its folder ${location} overlaps that of ${other.table}, ${other.folder}`;
  }
  return null;
}

/** Returns the number of deleted files. Can be repeated after a failure. */
export async function deleteFiles(location: string, storage: Storage, warehouse: string): Promise<number> {
  let count = 0;
  for await (const file of storage.list(location)) {
    const rejected = await deleteOwnFiles({ storage, warehouse }, location, [file.location]);
    count += 1 - rejected.length;
  }
  await storage.removeFolder(location);
  return count;
}
