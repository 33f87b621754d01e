import { badRequest } from "../errors.ts";
import type { Field, Schema } from "../model.ts";
import { arrayIn, asObject, booleanIn, integerIn, stringIn, type JsonObject } from "../shape.ts";

/** A column of a schema, also a nested one, to which specs and sort orders refer. */
export interface Column {
  id: number;
  /** Names from the top level, joined by dots; `element`, `key` and `value` inside lists and maps. */
  path: string;
  type: unknown;
  is_required: boolean;
  /** Whether it is inside a list or map, where one row has many values. */
  is_repeated: boolean;
  /** The struct, list or map that directly contains it; null at the top level. */
  parent_id: number | null;
}

/** Types that older readers do not support (spec: "Format versioning"). */
const TYPES_SINCE_V3 = /^(timestamp_ns|timestamptz_ns|unknown|variant|geometry\b.*|geography\b.*)$/;
const TIME_TYPE = /date|time|timestamp|timestamptz|timestamp_ns|timestamptz_ns/;
const PLAIN_TYPE = /boolean|int|long|float|double|string|uuid|binary|unknown|variant/;
const TYPE_WITH_PARAMETERS = /fixed\[\d+\]|decimal\(\s*\d+\s*,\s*\d+\s*\)|geometry(\(.*\))?|geography(\(.*\))?/;
const PRIMITIVE = new RegExp(`^(${PLAIN_TYPE.source}|${TIME_TYPE.source}|${TYPE_WITH_PARAMETERS.source})$`);

/** Limit on nesting. A deeper schema is an attack or an error; it would also exhaust the stack. */
const MAX_DEPTH = 64;

/** Calls `visit` for each field, list element, map key and map value, parents first. */
function walk(
  type: unknown,
  parent: Omit<Column, "id" | "type" | "is_required"> & { depth: number },
  visit: (column: Column) => void,
): void {
  if (parent.depth > MAX_DEPTH) throw badRequest(`The schema is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof type === "string") {
    if (!PRIMITIVE.test(type)) throw badRequest(`Unknown type: ${type}`);
    return;
  }
  const nested = asObject(type, "type");
  const below = (name: string, is_repeated: boolean) => ({
    path: parent.path === "" ? name : `${parent.path}.${name}`,
    is_repeated: parent.is_repeated || is_repeated,
    depth: parent.depth + 1,
  });
  const enter = (
    id_key: string,
    name: string,
    type_key: string,
    is_required: boolean,
    holder: JsonObject,
    is_repeated: boolean,
  ) => {
    const place = below(name, is_repeated);
    const id = integerIn(holder, id_key);
    visit({
      id,
      path: place.path,
      type: holder[type_key],
      is_required,
      is_repeated: place.is_repeated,
      parent_id: parent.parent_id,
    });
    return () => walk(holder[type_key], { ...place, parent_id: id }, visit);
  };
  const descend =
    nested["type"] === "struct"
      ? arrayIn(nested, "fields").map((item) => {
          const field = asObject(item, "field");
          return enter("id", stringIn(field, "name"), "type", booleanIn(field, "required"), field, false);
        })
      : nested["type"] === "list"
        ? [enter("element-id", "element", "element", booleanIn(nested, "element-required"), nested, true)]
        : nested["type"] === "map"
          ? [
              enter("key-id", "key", "key", true, nested, true),
              enter("value-id", "value", "value", booleanIn(nested, "value-required"), nested, true),
            ]
          : [];
  if (descend.length === 0 && nested["type"] !== "struct") throw badRequest(`Unknown type: ${String(nested["type"])}`);
  for (const go of descend) go();
}

/** Every column by id. Throws INVALID_REQUEST for duplicate ids or names and for unknown types. */
export function columnsOf(schema: Schema): Map<number, Column> {
  const by_id = new Map<number, Column>();
  const paths = new Set<string>();
  walk(schema, { path: "", is_repeated: false, parent_id: null, depth: 0 }, (column) => {
    if (by_id.has(column.id)) throw badRequest(`Field id ${column.id} is used twice in the schema`);
    if (paths.has(column.path)) throw badRequest(`Column ${column.path} appears twice in the schema`);
    by_id.set(column.id, column);
    paths.add(column.path);
  });
  return by_id;
}

/** Throws INVALID_REQUEST unless `value` is a valid schema for a table of this format version. */
export function checkSchema(value: unknown, format_version: number): { schema: Schema; highest_field_id: number } {
  const schema = asObject(value, "schema") as unknown as Schema;
  if (schema.type !== "struct") throw badRequest('schema.type must be "struct"');
  const columns = columnsOf(schema);
  for (const column of columns.values()) {
    if (format_version < 3 && typeof column.type === "string" && TYPES_SINCE_V3.test(column.type)) {
      throw badRequest(`Invalid type for ${column.path}: ${column.type} is not supported until v3`);
    }
  }
  for (const field of schema.fields) {
    if (format_version < 3 && field["initial-default" as keyof Field] != null) {
      throw badRequest(`Invalid initial default for ${field.name}: non-null default is not supported until v3`);
    }
  }
  checkIdentifierFields(schema, columns);
  return { schema, highest_field_id: Math.max(0, ...columns.keys()) };
}

/** Spec, "Identifier Field IDs": required primitives, except floats, outside of lists, maps and optional structs. */
function checkIdentifierFields(schema: Schema, columns: Map<number, Column>): void {
  for (const id of schema["identifier-field-ids"] ?? []) {
    const column = columns.get(id);
    if (column === undefined) throw badRequest(`Identifier field ${id} is not in the schema`);
    const parents = [...columns.values()].filter((other) => column.path.startsWith(`${other.path}.`));
    const is_fit =
      typeof column.type === "string" &&
      !/^(float|double)$/.test(column.type) &&
      !column.is_repeated &&
      [column, ...parents].every((each) => each.is_required);
    if (!is_fit)
      throw badRequest(
        `Column ${column.path} cannot identify rows: it must be required, primitive, no float, ` +
          "and not nested in a list, map or optional struct",
      );
  }
}

/** Whether the schemas are equal except for their ids. */
export function isSameSchema(a: Schema, b: Schema): boolean {
  const identifiers = (schema: Schema) =>
    JSON.stringify((schema["identifier-field-ids"] ?? []).toSorted((x, y) => x - y));
  return identifiers(a) === identifiers(b) && canonicalText(a.fields) === canonicalText(b.fields);
}

function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "bigint"
      ? `${item}n`
      : typeof item === "object" && item !== null && !Array.isArray(item)
        ? Object.fromEntries(Object.entries(item).toSorted(([x], [y]) => (x < y ? -1 : 1)))
        : item,
  );
}

/**
 * Assigns the field ids of a new table, from 1, with a struct's fields before their nested fields, as in the reference
 * implementation. Two tables created from one schema have the same ids.
 */
export function withFreshIds(schema: Schema): { schema: Schema; fresh_id_of: Map<number, number> } {
  const fresh_id_of = new Map<number, number>();
  columnsOf(schema);
  const next = (old_id: number): number => {
    fresh_id_of.set(old_id, fresh_id_of.size + 1);
    return fresh_id_of.size;
  };
  const fields = freshFields(schema.fields, next);
  const identifiers = schema["identifier-field-ids"]?.map((id) => fresh_id_of.get(id) ?? id);
  const fresh: Schema = { ...schema, "schema-id": 0, fields };
  if (identifiers !== undefined) fresh["identifier-field-ids"] = identifiers;
  return { schema: fresh, fresh_id_of };
}

function freshFields(fields: readonly Field[], next: (old_id: number) => number): Field[] {
  const numbered = fields.map((field) => ({ ...field, id: next(field.id) }));
  return numbered.map((field) => ({ ...field, type: freshType(field.type, next) }));
}

function freshType(type: unknown, next: (old_id: number) => number): unknown {
  if (typeof type === "string") return type;
  const nested = type as JsonObject;
  if (nested["type"] === "struct") return { ...nested, fields: freshFields(nested["fields"] as Field[], next) };
  if (nested["type"] === "list") {
    const element_id = next(integerIn(nested, "element-id"));
    return { ...nested, "element-id": element_id, element: freshType(nested["element"], next) };
  }
  const key_id = next(integerIn(nested, "key-id"));
  const value_id = next(integerIn(nested, "value-id"));
  return {
    ...nested,
    "key-id": key_id,
    "value-id": value_id,
    key: freshType(nested["key"], next),
    value: freshType(nested["value"], next),
  };
}
