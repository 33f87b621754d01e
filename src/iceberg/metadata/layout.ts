import { badRequest } from "../errors.ts";
import type { PartitionField, TableMetadata } from "../model.ts";
import { arrayIn, asObject, integerIn, stringIn, type JsonObject } from "../shape.ts";
import { change, resolveId, schemaOf, sortOrdersOf, specOf, type Draft, type SortOrder } from "./draft.ts";
import { checkSchema, columnsOf, isSameSchema, type Column } from "./schema.ts";
import { checkTransform } from "./transform.ts";

/** Updates to schemas, partition specs and sort orders. */

/** Partition field ids start above column ids (spec, "Partition Specs"). */
export const FIRST_PARTITION_FIELD_ID = 1000;

export function addSchema(draft: Draft, update: JsonObject): void {
  const { metadata } = draft;
  const { schema, highest_field_id } = checkSchema(update["schema"], metadata["format-version"]);
  const stated = update["last-column-id"] == null ? 0 : integerIn(update, "last-column-id");
  const same = metadata.schemas.find((existing) => isSameSchema(existing, schema));
  const schema_id =
    same?.["schema-id"] ??
    nextId(
      metadata.schemas.map((existing) => existing["schema-id"] ?? 0),
      0,
    );
  const last_column_id = Math.max(metadata["last-column-id"], highest_field_id, stated);
  draft.last_added.schema_id = schema_id;
  if (same !== undefined && last_column_id === metadata["last-column-id"]) return;
  const schemas = same === undefined ? [...metadata.schemas, { ...schema, "schema-id": schema_id }] : metadata.schemas;
  change(draft, { schemas, "last-column-id": last_column_id });
}

export function setCurrentSchema(draft: Draft, update: JsonObject): void {
  const schema_id = resolveId(integerIn(update, "schema-id"), draft.last_added.schema_id, "schema");
  if (schema_id === draft.metadata["current-schema-id"]) return;
  if (schemaOf(draft.metadata, schema_id) === undefined)
    throw badRequest(`Cannot set current schema to unknown schema: ${schema_id}`);
  change(draft, { "current-schema-id": schema_id });
}

export function removeSchemas(draft: Draft, update: JsonObject): void {
  const ids = integersIn(update, "schema-ids");
  if (ids.has(draft.metadata["current-schema-id"])) throw badRequest("Cannot remove the current schema");
  const schemas = draft.metadata.schemas.filter((schema) => !ids.has(schema["schema-id"] ?? 0));
  if (schemas.length < draft.metadata.schemas.length) change(draft, { schemas });
}

export function addSpec(draft: Draft, update: JsonObject): void {
  const { metadata } = draft;
  const fields = arrayIn(asObject(update["spec"], "spec"), "fields").map(readPartitionField);
  const same = metadata["partition-specs"].find((spec) => isSameFields(spec.fields, fields));
  if (same !== undefined) {
    draft.last_added.spec_id = same["spec-id"] ?? 0;
    return;
  }
  checkPartitionFields(fields, columnsOfCurrent(metadata));
  const numbered = numberPartitionFields(fields, metadata);
  if (
    metadata["format-version"] === 1 &&
    numbered.some((field, index) => field["field-id"] !== FIRST_PARTITION_FIELD_ID + index)
  ) {
    throw badRequest("Spec does not use sequential ids that are required in v1");
  }
  const spec_id = nextId(
    metadata["partition-specs"].map((spec) => spec["spec-id"] ?? 0),
    0,
  );
  draft.last_added.spec_id = spec_id;
  change(draft, {
    "partition-specs": [...metadata["partition-specs"], { "spec-id": spec_id, fields: numbered }],
    "last-partition-id": Math.max(metadata["last-partition-id"], ...numbered.map((field) => field["field-id"])),
  });
}

export function setDefaultSpec(draft: Draft, update: JsonObject): void {
  const spec_id = resolveId(integerIn(update, "spec-id"), draft.last_added.spec_id, "partition spec");
  if (spec_id === draft.metadata["default-spec-id"]) return;
  if (specOf(draft.metadata, spec_id) === undefined)
    throw badRequest(`Cannot set default partition spec to unknown spec: ${spec_id}`);
  change(draft, { "default-spec-id": spec_id });
}

export function removeSpecs(draft: Draft, update: JsonObject): void {
  const ids = integersIn(update, "spec-ids");
  if (ids.has(draft.metadata["default-spec-id"])) throw badRequest("Cannot remove the default partition spec");
  const specs = draft.metadata["partition-specs"].filter((spec) => !ids.has(spec["spec-id"] ?? 0));
  if (specs.length < draft.metadata["partition-specs"].length) change(draft, { "partition-specs": specs });
}

export function addSortOrder(draft: Draft, update: JsonObject): void {
  const { metadata } = draft;
  const fields = arrayIn(asObject(update["sort-order"], "sort-order"), "fields").map(readSortField);
  const orders = sortOrdersOf(metadata);
  const same = orders.find((order) => JSON.stringify(order.fields.map(readSortField)) === JSON.stringify(fields));
  if (same !== undefined) {
    draft.last_added.order_id = same["order-id"];
    return;
  }
  checkSortFields(fields, columnsOfCurrent(metadata));
  const order_id =
    fields.length === 0
      ? 0
      : nextId(
          orders.map((order) => order["order-id"]),
          1,
        );
  draft.last_added.order_id = order_id;
  change(draft, { "sort-orders": [...orders, { "order-id": order_id, fields }] });
}

export function setDefaultSortOrder(draft: Draft, update: JsonObject): void {
  const order_id = resolveId(integerIn(update, "sort-order-id"), draft.last_added.order_id, "sort order");
  if (order_id === draft.metadata["default-sort-order-id"]) return;
  if (!sortOrdersOf(draft.metadata).some((order) => order["order-id"] === order_id)) {
    throw badRequest(`Cannot set default sort order to unknown sort order: ${order_id}`);
  }
  change(draft, { "default-sort-order-id": order_id });
}

/**
 * A schema change must keep the columns of the default spec and sort order; the columns of older specs may be dropped.
 */
export function checkDefaultsFitSchema(metadata: TableMetadata): void {
  const schema = schemaOf(metadata, metadata["current-schema-id"]);
  const spec = specOf(metadata, metadata["default-spec-id"]);
  const order = sortOrdersOf(metadata).find((each) => each["order-id"] === metadata["default-sort-order-id"]);
  if (schema === undefined || spec === undefined || order === undefined) {
    throw badRequest("A table needs a current schema, a default partition spec and a default sort order");
  }
  const columns = columnsOf(schema);
  for (const field of spec.fields) checkSource(field, columns, "partition field");
  for (const field of order.fields) checkSource(field, columns, "sort field");
}

function checkSource(
  field: { transform: string; "source-id": number },
  columns: Map<number, Column>,
  what: string,
): void {
  if (field.transform === "void") return;
  const column = columns.get(field["source-id"]);
  if (column === undefined) throw badRequest(`Cannot find source column ${field["source-id"]} for ${what}`);
  checkTransform(field.transform, column);
}

function checkPartitionFields(fields: readonly PartitionField[], columns: Map<number, Column>): void {
  const column_of_path = new Map([...columns.values()].map((column) => [column.path, column]));
  const names = new Set<string>();
  const uses = new Set<string>();
  for (const field of fields) {
    checkSource(field, columns, "partition field");
    const namesake = column_of_path.get(field.name);
    const may_share_name =
      (field.transform === "identity" || field.transform === "void") && namesake?.id === field["source-id"];
    if (namesake !== undefined && !may_share_name)
      throw badRequest(`Cannot create partition from name that exists in schema: ${field.name}`);
    if (names.has(field.name)) throw badRequest(`Cannot use partition name more than once: ${field.name}`);
    names.add(field.name);
    const use = `${field["source-id"]} ${field.transform.replace(/\[.*/, "")}`;
    if (field.transform !== "void" && uses.has(use)) throw badRequest(`Cannot add redundant partition: ${field.name}`);
    uses.add(use);
  }
}

/**
 * A field without an id gets the id of an equal field in an older spec, else the next id (spec, "Partition Evolution").
 */
function numberPartitionFields(
  fields: readonly PartitionField[],
  metadata: TableMetadata,
): (PartitionField & { "field-id": number })[] {
  let last_id = Math.max(metadata["last-partition-id"], ...fields.map((field) => field["field-id"] ?? 0));
  const older = metadata["partition-specs"].flatMap((spec) => spec.fields);
  const used = new Set<number>();
  return fields.map((field) => {
    const twin = older.find(
      (other) => other["source-id"] === field["source-id"] && other.transform === field.transform,
    );
    let id = field["field-id"] ?? twin?.["field-id"];
    if (id === undefined) {
      last_id += 1;
      id = last_id;
    }
    if (used.has(id)) throw badRequest(`Partition field id ${id} is used twice in the spec`);
    used.add(id);
    return { ...field, "field-id": id };
  });
}

function checkSortFields(fields: SortOrder["fields"], columns: Map<number, Column>): void {
  for (const field of fields) checkSource(field, columns, "sort field");
}

/** Engines that create a table may add its spec before they set its only schema as current. */
function columnsOfCurrent(metadata: TableMetadata): Map<number, Column> {
  const schema = schemaOf(metadata, metadata["current-schema-id"]) ?? metadata.schemas.at(-1);
  if (schema === undefined) throw badRequest("A partition spec or sort order needs a schema first");
  return columnsOf(schema);
}

function readPartitionField(value: unknown): PartitionField {
  const field = asObject(value, "partition field");
  const read: PartitionField = {
    name: stringIn(field, "name"),
    transform: stringIn(field, "transform"),
    "source-id": sourceId(field),
  };
  if (field["field-id"] != null) read["field-id"] = integerIn(field, "field-id");
  return read;
}

function readSortField(value: unknown): SortOrder["fields"][number] {
  const field = asObject(value, "sort field");
  const direction = stringIn(field, "direction");
  const null_order = stringIn(field, "null-order");
  if (!/^(asc|desc)$/.test(direction)) throw badRequest(`Unknown sort direction: ${direction}`);
  if (!/^nulls-(first|last)$/.test(null_order)) throw badRequest(`Unknown null order: ${null_order}`);
  return { transform: stringIn(field, "transform"), "source-id": sourceId(field), direction, "null-order": null_order };
}

/** Writers of v3 may write `source-ids`, a list; transforms of several columns do not exist yet. */
function sourceId(field: JsonObject): number {
  const ids = field["source-ids"];
  return Array.isArray(ids) && ids.length === 1
    ? integerIn({ "source-id": ids[0] }, "source-id")
    : integerIn(field, "source-id");
}

function isSameFields(a: readonly PartitionField[], b: readonly PartitionField[]): boolean {
  const text = (fields: readonly PartitionField[]) =>
    JSON.stringify(fields.map((field) => [field.name, field.transform, field["source-id"]]));
  return text(a) === text(b);
}

function integersIn(update: JsonObject, key: string): Set<number> {
  return new Set(arrayIn(update, key).map((id) => integerIn({ [key]: id }, key)));
}

function nextId(existing: readonly number[], first: number): number {
  return Math.max(first - 1, ...existing) + 1;
}
