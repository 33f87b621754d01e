import { nameOfTable } from "../iceberg/errors.ts";
import type { TableCatalog } from "../iceberg/model.ts";
import { LAYERS } from "../lake/layers.ts";

/** Tables of the lake's layers, named `layer.table`. */
export async function tablesOf(catalog: TableCatalog): Promise<string[]> {
  const names: string[] = [];
  for (const layer of LAYERS) {
    if (!(await catalog.hasNamespace([layer]))) continue;
    names.push(...(await catalog.listTables([layer])).map(nameOfTable).sort());
  }
  return names;
}
