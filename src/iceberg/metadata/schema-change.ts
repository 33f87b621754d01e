import type { LoadedTable, Schema, TableChange } from "../model.ts";
import { LAST_ADDED } from "./draft.ts";

/**
 * A commit that gives a table this schema, if nobody has changed its schema since it was loaded. `last_column_id` is
 * the highest id after the change.
 */
export function schemaChange(
  { identifier, metadata }: LoadedTable,
  schema: Schema,
  last_column_id: number = metadata["last-column-id"],
): TableChange {
  return {
    identifier,
    requirements: [
      { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
      { type: "assert-current-schema-id", "current-schema-id": metadata["current-schema-id"] },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": metadata["last-column-id"] },
    ],
    updates: [
      { action: "add-schema", schema, "last-column-id": last_column_id },
      { action: "set-current-schema", "schema-id": LAST_ADDED },
    ],
  };
}
