import type { LoadedTable, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";

/**
 * The result of `read` for the current table. Reads again if the table has changed meanwhile and an expiry, by any
 * engine, deleted files that the older metadata names; a missing file of an unchanged table is an error. Throws the
 * errors of `read` and the catalog.
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
