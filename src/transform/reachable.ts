import { tableNamed } from "../iceberg/errors.ts";
import type { TableCatalog } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { lostOffsets } from "../ingest/lost-offsets.ts";
import { consumedOffsets } from "../ingest/offsets.ts";

/**
 * Offsets up to which the models can consume bronze, by "<topic>/<partition>": those that it has consumed, without an acknowledged gap at
 * the end, which an increment passes only with the records after it.
 */
export async function reachableOffsets(catalog: TableCatalog, bronze: string): Promise<Record<string, number>> {
  try {
    const { metadata } = await catalog.loadTable(tableNamed(bronze));
    const offsets = Object.entries(consumedOffsets(metadata)).map(([name, next]): [string, number] => {
      const slash = name.lastIndexOf("/");
      const lost = lostOffsets(metadata, name.slice(0, slash))
        .get(Number(name.slice(slash + 1)))
        ?.at(-1);
      return [name, lost !== undefined && lost[1] >= next ? Math.min(next, lost[0]) : next];
    });
    return Object.fromEntries(offsets);
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "TABLE_NOT_FOUND" || error.code === "NAMESPACE_NOT_FOUND"))
      return {};
    throw error;
  }
}
