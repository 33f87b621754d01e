import type { TableCatalog } from "../iceberg/model.ts";
import { hasConsumed, leastOf, logOffsets } from "./offsets.ts";

/** Up to where in the log all tables of a layer have come. Those that say nothing of a place, such as seeds, do not follow it. */
export async function placeOf(catalog: TableCatalog, layer: string): Promise<Record<string, number>> {
  return leastOf(await placesIn(catalog, layer));
}

/** Whether a layer's tables have come to that place; a layer without a table that follows the log has come nowhere. */
export async function hasCarried(
  catalog: TableCatalog,
  layer: string,
  place: Record<string, number>,
): Promise<boolean> {
  const places = await placesIn(catalog, layer);
  return Object.keys(place).length === 0 || (places.length > 0 && places.every((found) => hasConsumed(found, place)));
}

/** The consumed offsets of every table of a layer that follows the log, in the order of the tables' names. */
export async function placesIn(catalog: TableCatalog, layer: string): Promise<Record<string, number>[]> {
  const tables = (await catalog.hasNamespace([layer])) ? await catalog.listTables([layer]) : [];
  const places: Record<string, number>[] = [];
  for (const { name } of tables) places.push(await logOffsets(catalog, `${layer}.${name}`));
  return places.filter((place) => Object.keys(place).length > 0);
}
