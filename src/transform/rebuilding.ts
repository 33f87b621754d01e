import type { TableCatalog, TableIdentifier, TableMetadata } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import { NO_LOG_OFFSETS, coversOffsets, parseOffsets, type LogOffsets } from "../log/offsets.ts";

/**
 * The offsets that a table had consumed before its rows were dropped to be rebuilt: a JSON object like
 * `coinlake.log-offsets`. The table is behind the others until it has consumed as much.
 */
export const REBUILT_UP_TO_PROPERTY = "coinlake.rebuilt-up-to";

/** Empty for a table that was never reset, or whose property is malformed. */
export function rebuiltUpTo({ properties }: Pick<TableMetadata, "properties">): LogOffsets {
  return parseOffsets(properties[REBUILT_UP_TO_PROPERTY]) ?? NO_LOG_OFFSETS;
}

/** The consumed offsets of the tables that are being rebuilt. */
export async function offsetsBeingRebuilt(catalog: TableCatalog): Promise<LogOffsets[]> {
  const found: LogOffsets[] = [];
  for (const layer of BUILT_LAYERS) {
    const tables = (await catalog.hasNamespace([layer])) ? await catalog.listTables([layer]) : [];
    for (const identifier of tables) {
      const metadata = await metadataOf(catalog, identifier);
      const consumed = metadata === null ? {} : consumedOffsets(metadata);
      if (metadata !== null && !coversOffsets(consumed, rebuiltUpTo(metadata))) found.push(consumed);
    }
  }
  return found;
}

/** Null for a table that cannot be loaded; the increment that needs it reports the cause. */
export async function metadataOf(catalog: TableCatalog, identifier: TableIdentifier): Promise<TableMetadata | null> {
  try {
    return (await catalog.loadTable(identifier)).metadata;
  } catch (error) {
    if (error instanceof OperatingError) return null;
    throw error;
  }
}
