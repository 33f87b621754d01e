import { OperatingError } from "../base/errors.ts";
import { tableNamed } from "../iceberg/errors.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import type { TableCatalog } from "../iceberg/model.ts";
import { NO_LOG_OFFSETS, type LogOffsets } from "../log/offsets.ts";

/**
 * The log offsets that a table (`layer.table`) has consumed; none where the table does not exist. Throws
 * INVALID_OFFSETS.
 */
export async function logOffsets(catalog: TableCatalog, table: string): Promise<LogOffsets> {
  try {
    const { metadata } = await catalog.loadTable(tableNamed(table));
    return consumedOffsets(metadata);
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "TABLE_NOT_FOUND" || error.code === "NAMESPACE_NOT_FOUND"))
      return NO_LOG_OFFSETS;
    throw error;
  }
}
