import { badRequest } from "../errors.ts";
import type { Schema, TableMetadata, Update } from "../model.ts";
import { schemaOf, specOf } from "./draft.ts";
import { columnsOf, type Column } from "./schema.ts";

/**
 * Schema evolution (spec, "Schema Evolution"). Readers resolve the columns of data files with an older schema by field
 * id under the current schema, so a change that would make those files unreadable is rejected. Messages follow the
 * reference implementation (SchemaUpdate.java).
 */

/** Throws INVALID_REQUEST if the schema that `next` makes current cannot read the table's rows. Pure. */
export function checkEvolution(base: TableMetadata, next: TableMetadata, updates: readonly Update[]): void {
  const [before, after] = [schemaOf(base, base["current-schema-id"]), schemaOf(next, next["current-schema-id"])];
  if (before === undefined || after === undefined || before === after || isReplacement(base, updates)) return;
  const [old_columns, columns] = [columnsOf(before), columnsOf(after)];
  for (const column of columns.values()) {
    const old = old_columns.get(column.id);
    if (old === undefined) checkAddition(column, after, columns, base);
    else checkChange(old, column, next);
  }
}

/**
 * Whether the commit replaces the table without its rows: it removes the main branch, or the table has none and the
 * commit sets schema, spec and order, as a replacing transaction does. Rows of other snapshots are read under the
 * schemas of those snapshots.
 */
function isReplacement(base: TableMetadata, updates: readonly Update[]): boolean {
  if (updates.some((update) => update.action === "remove-snapshot-ref" && update["ref-name"] === "main")) return true;
  const actions = new Set(updates.map(({ action }) => action));
  return base["current-snapshot-id"] === null && REPLACING.every((action) => actions.has(action));
}

const REPLACING = ["set-current-schema", "set-default-spec", "set-default-sort-order"];

/** A new column must have a new id; a required one needs a value for old rows. */
function checkAddition(
  column: Column,
  schema: Schema,
  columns: ReadonlyMap<number, Column>,
  base: TableMetadata,
): void {
  const former = base.schemas.flatMap((each) => columnsOf(each).get(column.id) ?? []);
  const is_restored = former.some(
    (old) => old.path === column.path && canPromote(old.type, column.type, base["format-version"]),
  );
  if (column.id <= base["last-column-id"] && !is_restored) {
    const last = base["last-column-id"];
    throw badRequest(
      `Cannot add column ${column.path}: field id ${column.id} was assigned before (last assigned: ${last})`,
    );
  }
  // Fields inside a new or nullable column have no old rows.
  const parent = column.parent_id === null ? undefined : columns.get(column.parent_id);
  const is_in_old = column.parent_id === null || (parent !== undefined && isKnown(parent, base));
  if (!column.is_required || !is_in_old || column.is_repeated) return;
  const field = schema.fields.find(({ id }) => id === column.id) as { "initial-default"?: unknown } | undefined;
  if (field?.["initial-default"] != null) return;
  throw badRequest(`Incompatible change: cannot add required column without a default value: ${column.path}`);
}

function isKnown(column: Column, base: TableMetadata): boolean {
  const schema = schemaOf(base, base["current-schema-id"]);
  return schema !== undefined && columnsOf(schema).has(column.id);
}

function checkChange(old: Column, column: Column, next: TableMetadata): void {
  if (!canPromote(old.type, column.type, next["format-version"])) {
    throw badRequest(
      `Cannot change column type: ${column.path}: ${nameOfType(old.type)} -> ${nameOfType(column.type)}`,
    );
  }
  if (column.is_required && !old.is_required)
    throw badRequest(`Cannot change column nullability: ${column.path}: optional -> required`);
  if (old.parent_id !== column.parent_id)
    throw badRequest(`Cannot move column ${old.path} to ${column.path}: it is in another struct`);
  const is_date_widened = old.type === "date" && column.type !== "date";
  const spec = specOf(next, next["default-spec-id"]);
  if (
    is_date_widened &&
    spec?.fields.some((field) => field["source-id"] === column.id && /^(identity|bucket)/.test(field.transform))
  ) {
    throw badRequest(`Cannot change column type: ${column.path}: its partition values would change`);
  }
}

const PROMOTIONS: Readonly<Record<string, RegExp>> = { int: /^long$/, float: /^double$/ };
const PROMOTIONS_SINCE_V3: Readonly<Record<string, RegExp>> = { date: /^timestamp(_ns)?$/, unknown: /./ };

/**
 * Spec, "Schema Evolution", the table of valid promotions. Nested types keep their kind; their fields are compared
 * separately.
 */
function canPromote(old: unknown, type: unknown, format_version: number): boolean {
  if (typeof old !== "string" || typeof type !== "string") {
    const is_unknown = old === "unknown" && format_version >= 3;
    return is_unknown || (typeof old !== "string" && typeof type !== "string" && nameOfType(old) === nameOfType(type));
  }
  const [from, to] = [old, type].map((text) => text.replaceAll(/\s/g, "")) as [string, string];
  if (from === to || PROMOTIONS[from]?.test(to) === true) return true;
  if (format_version >= 3 && PROMOTIONS_SINCE_V3[from]?.test(to) === true) return true;
  const [narrow, wide] = [from, to].map((text) => /^decimal\((\d+),(\d+)\)$/.exec(text));
  return narrow != null && wide != null && narrow[2] === wide[2] && Number(narrow[1]) <= Number(wide[1]);
}

function nameOfType(type: unknown): string {
  return typeof type === "string" ? type : String((type as { type?: unknown } | null)?.type);
}
