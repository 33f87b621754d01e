import { nameOfTable } from "../iceberg/errors.ts";
import { renamedColumns, schemaWithFirstNames } from "../iceberg/metadata/column-names.ts";
import { schemaChange } from "../iceberg/metadata/schema-change.ts";
import type { LoadedTable, Schema, TableCatalog, TableIdentifier, TableMetadata } from "../iceberg/model.ts";
import { impossible, planned, type RepairItem } from "./item.ts";

export interface ColumnsPlan {
  items: RepairItem[];
  /** Tables to change, with their schemas after the repair. */
  renamed: { identifier: TableIdentifier; schema: Schema }[];
  /** All tables, as the repair will leave them. */
  tables: LoadedTable[];
}

/**
 * Gives renamed columns the names back that they were created with, by a change of the schema alone; `only` is the
 * table to look at, null for all.
 */
export function planColumns(tables: readonly LoadedTable[], only: string | null): ColumnsPlan {
  const plan: ColumnsPlan = { items: [], renamed: [], tables: [] };
  for (const loaded of tables) {
    const table = nameOfTable(loaded.identifier);
    const renamed = only === null || only === table ? renamedColumns(loaded.metadata) : [];
    const schema = renamed.length === 0 ? null : schemaWithFirstNames(loaded.metadata);
    plan.tables.push(schema === null ? loaded : { ...loaded, metadata: withSchema(loaded.metadata, schema) });
    if (renamed.length === 0) continue;
    const problem = renamed.map(({ created_as, name }) => `column ${created_as} was renamed to ${name}`).join("; ");
    const item = { table, file: null, problem };
    if (schema === null) {
      const action = "the table has another column of that name: decide which of them to keep, and rename the other";
      plan.items.push(impossible({ ...item, action }));
      continue;
    }
    const action = `rename ${renamed.map(({ name, created_as }) => `${name} to ${created_as}`).join(", ")}`;
    plan.items.push(planned({ ...item, action }));
    plan.renamed.push({ identifier: loaded.identifier, schema });
  }
  return plan;
}

export async function renameColumns(
  catalog: TableCatalog,
  { identifier, schema }: ColumnsPlan["renamed"][number],
): Promise<void> {
  await catalog.commit([schemaChange(await catalog.loadTable(identifier), schema)]);
}

/** The metadata as a commit of this schema will leave it. */
function withSchema(metadata: TableMetadata, schema: Schema): TableMetadata {
  const id = Math.max(...metadata.schemas.map((each) => each["schema-id"] ?? 0)) + 1;
  return {
    ...metadata,
    schemas: [...metadata.schemas, { ...schema, "schema-id": id }],
    "current-schema-id": id,
  };
}
