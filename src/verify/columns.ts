import { renamedColumns } from "../iceberg/metadata/column-names.ts";
import type { HeldTable } from "../transform/moment.ts";
import { REPAIR_LAKE, tableFinding, type Finding } from "./finding.ts";

/** Columns that another client renamed: ingest, the models and queries find columns by name. */
export function checkColumns({ table, loaded }: HeldTable): Finding[] {
  const renamed = renamedColumns(loaded.metadata);
  if (renamed.length === 0) return [];
  const changes = renamed.map(({ created_as, name }) => `column ${created_as} was renamed to ${name}`);
  return [tableFinding("COLUMNS_DIFFER", table, `${table}: ${changes.join("; ")}`, { next_step: REPAIR_LAKE })];
}
