import { badRequest } from "../errors.ts";
import type { PartitionSpec, Schema, TableMetadata } from "../model.ts";
import { asObject } from "../shape.ts";
import type { SortOrder } from "./draft.ts";
import { FIRST_PARTITION_FIELD_ID } from "./layout.ts";
import { checkSchema, withFreshIds } from "./schema.ts";
import { applyUpdates, NEWEST_FORMAT_VERSION } from "./updates.ts";

export interface NewTable {
  schema: Schema;
  partition_spec?: PartitionSpec | undefined;
  sort_order?: SortOrder | undefined;
  properties?: Record<string, string> | undefined;
  location: string;
  uuid: string;
}

const DEFAULT_FORMAT_VERSION = 2;

/** Properties that clients set and the metadata stores as fields (reference implementation: TableProperties). */
const RESERVED_PROPERTIES = [
  "format-version",
  "uuid",
  "snapshot-count",
  "current-snapshot-summary",
  "current-snapshot-id",
  "current-snapshot-timestamp-ms",
  "current-schema",
  "default-partition-spec",
  "default-sort-order",
];

/** Metadata of an empty table, to which a creating commit's updates are applied. */
export function emptyMetadata(location: string, uuid: string, format_version = DEFAULT_FORMAT_VERSION): TableMetadata {
  if (format_version < 1 || format_version > NEWEST_FORMAT_VERSION)
    throw badRequest(`Unsupported format version: v${format_version}`);
  return {
    "format-version": format_version,
    "table-uuid": uuid,
    location,
    "last-sequence-number": 0,
    "last-updated-ms": 0,
    "last-column-id": 0,
    "current-schema-id": -1,
    schemas: [],
    "default-spec-id": -1,
    "partition-specs": [],
    "last-partition-id": FIRST_PARTITION_FIELD_ID - 1,
    "default-sort-order-id": -1,
    "sort-orders": [],
    properties: {},
    "current-snapshot-id": null,
    refs: {},
    snapshots: [],
    statistics: [],
    "partition-statistics": [],
    "snapshot-log": [],
    "metadata-log": [],
    ...(format_version >= 3 ? { "next-row-id": 0 } : {}),
  };
}

/** Metadata of a new table that a client requests. Assigns new field ids. Throws INVALID_REQUEST. */
export function freshMetadata(table: NewTable, now_ms: number): TableMetadata {
  const properties = { ...table.properties };
  const wanted_version = properties["format-version"];
  const format_version = wanted_version === undefined ? DEFAULT_FORMAT_VERSION : Number(wanted_version);
  if (!Number.isInteger(format_version)) throw badRequest(`Unsupported format version: ${wanted_version}`);
  for (const reserved of RESERVED_PROPERTIES) delete properties[reserved];
  const empty = emptyMetadata(table.location, table.uuid, format_version);
  checkSchema(table.schema, format_version);
  const { schema, fresh_id_of } = withFreshIds(table.schema);
  const renumber = <T extends { "source-id": number }>(fields: readonly T[], what: string): T[] =>
    fields.map((field) => {
      const fresh_id = fresh_id_of.get(asObject(field, what)["source-id"] as number);
      if (fresh_id === undefined) throw badRequest(`Cannot find source column ${field["source-id"]} for ${what}`);
      return { ...field, "source-id": fresh_id };
    });
  const spec_fields = renumber(table.partition_spec?.fields ?? [], "partition field").map(
    ({ "field-id": _stale, ...field }) => field,
  );
  const sort_fields = renumber(table.sort_order?.fields ?? [], "sort field");
  return applyUpdates(
    empty,
    [
      { action: "add-schema", schema },
      { action: "set-current-schema", "schema-id": -1 },
      { action: "add-spec", spec: { fields: spec_fields } },
      { action: "set-default-spec", "spec-id": -1 },
      { action: "add-sort-order", "sort-order": { fields: sort_fields } },
      { action: "set-default-sort-order", "sort-order-id": -1 },
      { action: "set-properties", updates: properties },
    ],
    now_ms,
  );
}
