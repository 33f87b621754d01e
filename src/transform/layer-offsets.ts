import type { TableCatalog } from "../iceberg/model.ts";
import { coversOffsets, hasOffsets, minOffsets, type LogOffsets } from "../log/offsets.ts";
import { logOffsets } from "./offsets.ts";

/** The log offsets that every table of a layer has consumed. Tables without offsets, such as seeds, do not count. */
export async function layerOffsets(catalog: TableCatalog, layer: string): Promise<LogOffsets> {
  return minOffsets(await tableOffsets(catalog, layer));
}

/**
 * Whether all tables of a layer have consumed `target`. A layer without tables that follow the log has consumed
 * nothing.
 */
export async function hasLayerConsumed(catalog: TableCatalog, layer: string, target: LogOffsets): Promise<boolean> {
  const consumed = await tableOffsets(catalog, layer);
  return !hasOffsets(target) || (consumed.length > 0 && consumed.every((offsets) => coversOffsets(offsets, target)));
}

/** The consumed offsets of every table of a layer that follows the log, in the order of the tables' names. */
export async function tableOffsets(catalog: TableCatalog, layer: string): Promise<LogOffsets[]> {
  const tables = (await catalog.hasNamespace([layer])) ? await catalog.listTables([layer]) : [];
  const consumed: LogOffsets[] = [];
  for (const { name } of tables) consumed.push(await logOffsets(catalog, `${layer}.${name}`));
  return consumed.filter(hasOffsets);
}
