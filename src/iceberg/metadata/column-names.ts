import type { Field, Schema, TableMetadata } from "../model.ts";
import { schemaOf } from "./draft.ts";

/** A column of the current schema whose name differs from the one that it was created with. */
export interface RenamedColumn {
  id: number;
  created_as: string;
  name: string;
}

/** Columns at the top level that were renamed, in the order of the schema. */
export function renamedColumns(metadata: TableMetadata): RenamedColumn[] {
  const created = firstFields(metadata);
  return (schemaOf(metadata, metadata["current-schema-id"])?.fields ?? []).flatMap(({ id, name }) => {
    const created_as = created.get(id)?.name ?? name;
    return created_as === name ? [] : [{ id, created_as, name }];
  });
}

/**
 * The current schema with the names that its columns were created with; null if a later column has one of these names.
 * Readers and writers that match columns by name see the data of a renamed column again.
 */
export function schemaWithFirstNames(metadata: TableMetadata): Schema | null {
  const current = schemaOf(metadata, metadata["current-schema-id"]);
  if (current === undefined) return null;
  const renamed = new Map(renamedColumns(metadata).map(({ id, created_as }) => [id, created_as]));
  const fields = current.fields.map((field) => ({ ...field, name: renamed.get(field.id) ?? field.name }));
  if (new Set(fields.map(({ name }) => name)).size < fields.length) return null;
  const { "schema-id": _id, ...schema } = current;
  return { ...schema, fields };
}

/**
 * The column of an earlier schema with this name, to restore a column that was dropped; undefined if there was none.
 */
export function earlierColumn({ schemas }: TableMetadata, name: string): Field | undefined {
  return schemas.flatMap(({ fields }) => fields).find((field) => field.name === name);
}

/** The columns as they were created, by id. */
function firstFields({ schemas }: TableMetadata): ReadonlyMap<number, Field> {
  const first = new Map<number, Field>();
  for (const field of schemas.flatMap(({ fields }) => fields)) if (!first.has(field.id)) first.set(field.id, field);
  return first;
}
