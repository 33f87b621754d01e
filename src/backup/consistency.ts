import { readCatalogFile } from "../catalog/sqlite/pointers.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import { parseMetadata } from "../iceberg/metadata/text.ts";
import type { LoadedTable, TableMetadata } from "../iceberg/model.ts";
import { readOffsets } from "../ingest/offsets.ts";
import { boundsInFile } from "../log/sqlite/bounds.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Storage } from "../storage/storage.ts";
import { absentTables, chooseMoment } from "../transform/moment.ts";

/** Whether copies of a lake's catalog and log belong together. */

/** Whether all tables of the pipeline are at the end of the same increment in the catalog, by the rule of `verify`. */
export async function isBetweenIncrements(
  catalog_file: string,
  storage: Storage,
  pipeline: Pick<Pipeline, "bronze" | "topic" | "reconciliation">,
): Promise<boolean> {
  const tables: LoadedTable[] = [];
  for (const { namespace, name, metadata_location } of readCatalogFile(catalog_file).pointers) {
    const is_of_pipeline =
      `${namespace}.${name}` === pipeline.bronze.table ||
      Object.hasOwn(pipeline.reconciliation.tables, `${namespace}.${name}`);
    if (!is_of_pipeline) continue;
    tables.push({
      identifier: { namespace: [namespace], name },
      metadata_location,
      metadata: parseMetadata(await storage.read(metadata_location), metadata_location),
    });
  }
  const absent = absentTables(
    tables.map(({ identifier }) => nameOfTable(identifier)),
    pipeline,
  );
  const moment = chooseMoment(tables, pipeline, { made: [], unmade: absent, models_version: null });
  return moment !== null && moment.moving.length === 0;
}

/** Whether a copy of the log has all records that a copy of bronze lacks; `bronze` is undefined before its creation. */
export function logCoversRest(log_file: string, bronze: TableMetadata | undefined, topic: string): boolean {
  const offsets = bronze === undefined ? new Map<number, number>() : readOffsets(bronze, topic);
  return boundsInFile(log_file, topic).every(({ partition, begin, end }) => {
    const consumed = offsets.get(partition) ?? 0;
    return begin <= consumed && consumed <= end;
  });
}
