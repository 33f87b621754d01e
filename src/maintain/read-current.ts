import type { LoadedTable, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";

/**
 * What `read` gives of the current table. Reads again where the table moved on and an expiry, by any engine, deleted
 * meanwhile what the older metadata names; a file that is missing of a table that did not move is an error. Throws what
 * `read` and the catalog throw.
 */
export async function readCurrent<T>(
  catalog: TableCatalog,
  identifier: TableIdentifier,
  read: (table: LoadedTable) => Promise<T>,
): Promise<T> {
  for (;;) {
    const table = await catalog.loadTable(identifier);
    try {
      return await read(table);
    } catch (error) {
      if (!isFileGone(error) || (await catalog.loadTable(identifier)).metadata_location === table.metadata_location)
        throw error;
    }
  }
}

/** Whether an error of storage or engine means a missing file. */
export function isFileGone(error: unknown): boolean {
  return error instanceof OperatingError && (error.code === "FILE_NOT_FOUND" || error.code === "DATA_FILES_FAILED");
}
