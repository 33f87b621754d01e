import { OperatingError } from "../base/errors.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import { earlierColumn, renamedColumns } from "../iceberg/metadata/column-names.ts";
import { schemaChange } from "../iceberg/metadata/schema-change.ts";
import type {
  Field,
  LoadedTable,
  PartitionSpec,
  Schema,
  TableCatalog,
  TableChange,
  TableIdentifier,
} from "../iceberg/model.ts";

/**
 * The columns of every pipeline's bronze table, a copy of its log. All columns are optional, because other engines that
 * append to the table, such as Spark, cannot prove that theirs are non-null.
 */
const COLUMNS: readonly Omit<Field, "id" | "required">[] = [
  { name: "source", type: "string", doc: "Who said it." },
  { name: "payload", type: "string", doc: "The message as received; null where its bytes are no UTF-8." },
  { name: "payload_bytes", type: "binary", doc: "The message as received, only where its bytes are no UTF-8." },
  {
    name: "payload_size_bytes",
    type: "int",
    doc: "Bytes of the message: what a batch may hold is reckoned from it, unread.",
  },
  {
    name: "ingested_at",
    type: "timestamptz",
    doc: "The producer's clock at receipt, UTC; in a replay, the replay's clock.",
  },
  { name: "ingestion_date", type: "date", doc: "UTC date of ingested_at; the table's partition." },
  { name: "log_topic", type: "string", doc: "Topic of the log that the record was copied from." },
  { name: "log_partition", type: "int", doc: "Partition of the topic." },
  { name: "log_offset", type: "long", doc: "Offset in the partition, gapless." },
];

const PARTITION_COLUMN = "ingestion_date";

export const BRONZE_SCHEMA: Schema = {
  type: "struct",
  fields: COLUMNS.map((column, position) => ({ id: position + 1, required: false, ...column })),
};

export const BRONZE_SPEC: PartitionSpec = {
  fields: [
    {
      name: PARTITION_COLUMN,
      transform: "identity",
      "source-id": COLUMNS.findIndex(({ name }) => name === PARTITION_COLUMN) + 1,
      "field-id": 1000,
    },
  ],
};

/**
 * Loads the table. Creates the table and its namespace where they are missing, adds columns that a lake of an older
 * version lacks, and restores dropped ones with their data. Foreign columns stay, and are null in ingested rows. Throws
 * BRONZE_UNSUPPORTED where the rows would not fit, or where a column was renamed: a new column of its name would hide
 * the earlier messages.
 */
export async function openBronze(catalog: TableCatalog, identifier: TableIdentifier): Promise<LoadedTable> {
  const table = await loadOrCreate(catalog, identifier);
  for (const { name, created_as } of renamedColumns(table.metadata)) {
    if (COLUMNS.some((column) => column.name === created_as))
      throw unsupported(table, `column ${created_as} was renamed to ${name}`, RENAME_BACK);
  }
  const missing = missingColumns(table);
  if (missing.length === 0) return checked(table);
  const [evolved] = await catalog.commit([withColumns(table, missing)]);
  if (evolved === undefined) throw new TypeError("a commit of one change gives one table");
  return checked(evolved);
}

async function loadOrCreate(catalog: TableCatalog, identifier: TableIdentifier): Promise<LoadedTable> {
  try {
    return await catalog.loadTable(identifier);
  } catch (error) {
    if (!isCode(error, "TABLE_NOT_FOUND", "NAMESPACE_NOT_FOUND")) throw error;
  }
  try {
    if (!(await catalog.hasNamespace(identifier.namespace))) await catalog.createNamespace(identifier.namespace);
  } catch (error) {
    if (!isCode(error, "NAMESPACE_EXISTS")) throw error;
  }
  try {
    return await catalog.createTable({
      identifier,
      schema: BRONZE_SCHEMA,
      partition_spec: BRONZE_SPEC,
      properties: { "format-version": "2" },
    });
  } catch (error) {
    if (!isCode(error, "TABLE_EXISTS")) throw error;
    return catalog.loadTable(identifier);
  }
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof OperatingError && codes.includes(error.code);
}

function schemaOf({ metadata }: LoadedTable): Schema {
  const schema = metadata.schemas.find((schema) => schema["schema-id"] === metadata["current-schema-id"]);
  return schema ?? { type: "struct", fields: [] };
}

function missingColumns(table: LoadedTable): typeof COLUMNS {
  const present = new Set(schemaOf(table).fields.map(({ name }) => name));
  return COLUMNS.filter(({ name }) => !present.has(name));
}

function withColumns(table: LoadedTable, missing: typeof COLUMNS): TableChange {
  const { "schema-id": _old_id, ...schema } = schemaOf(table);
  let last_id = table.metadata["last-column-id"];
  const added = missing.map(
    (column): Field => earlierColumn(table.metadata, column.name) ?? { id: ++last_id, required: false, ...column },
  );
  return schemaChange(table, { ...schema, fields: [...schema.fields, ...added] }, last_id);
}

/** The bronze columns with the table's own ids and types. */
export function bronzeColumns(table: LoadedTable): Field[] {
  const declared = new Set(COLUMNS.map(({ name }) => name));
  return schemaOf(table).fields.filter(({ name }) => declared.has(name));
}

/** Id of the partition field, the key of the data files' partition tuples. */
export function bronzePartitionFieldId(table: LoadedTable): number {
  const { metadata } = table;
  const spec = metadata["partition-specs"].find((spec) => spec["spec-id"] === metadata["default-spec-id"]);
  const [field, ...others] = spec?.fields ?? [];
  const source = schemaOf(table).fields.find(({ id }) => id === field?.["source-id"]);
  if (
    field?.["field-id"] === undefined ||
    others.length > 0 ||
    field.transform !== "identity" ||
    source?.name !== PARTITION_COLUMN
  ) {
    throw unsupported(table, `it must be partitioned by ${PARTITION_COLUMN} itself`);
  }
  return field["field-id"];
}

/** An `int` column may have been widened to `long`. */
function checked(table: LoadedTable): LoadedTable {
  const declared = new Map(COLUMNS.map(({ name, type }) => [name, type]));
  for (const { name, type, required } of schemaOf(table).fields) {
    const expected = declared.get(name);
    if (expected === undefined && required)
      throw unsupported(table, `column ${name} is required, and the log has no value for it`);
    const is_widened = expected === "int" && type === "long";
    if (expected !== undefined && type !== expected && !is_widened)
      throw unsupported(table, `column ${name} is ${String(type)}, not ${String(expected)}`);
  }
  bronzePartitionFieldId(table);
  return table;
}

const UNDO = "Undo that change to the table, or let the pipeline write another one.";
const RENAME_BACK = "Rename it back, or run `npm run -s coinlake -- repair --apply`, which does so and loses nothing.";

function unsupported({ identifier }: LoadedTable, why: string, next_step = UNDO): OperatingError {
  return new OperatingError("BRONZE_UNSUPPORTED", `${nameOfTable(identifier)} cannot take records: ${why}`, {
    next_step,
  });
}
