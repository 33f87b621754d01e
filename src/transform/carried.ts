import type { TableCatalog } from "../catalog/model.ts";
import { hasConsumed, logOffsets } from "./offsets.ts";

/**
 * Whether a layer's tables have come to that place in the log. Tables that say nothing of a place, because they are made of no
 * record, are passed over; a layer that has none which does, has come nowhere.
 */
export async function hasCarried(catalog: TableCatalog, layer: string, place: Record<string, number>): Promise<boolean> {
  const tables = (await catalog.hasNamespace([layer])) ? await catalog.listTables([layer]) : [];
  const places = await Promise.all(tables.map(({ name }) => logOffsets(catalog, `${layer}.${name}`)));
  const known = places.filter((found) => Object.keys(found).length > 0);
  return Object.keys(place).length === 0 || (known.length > 0 && known.every((found) => hasConsumed(found, place)));
}
