import { freshMetadata } from "../../src/iceberg/metadata/fresh.ts";
import type { TableIdentifier } from "../../src/iceberg/model.ts";
import type { PointerMove } from "../../src/catalog/store.ts";
import { PRICE_SCHEMA } from "./lake.ts";

/** A move for tests of stores alone: the metadata is a table's, but no file holds it. */
export function pointerMove(
  identifier: TableIdentifier,
  expected: string | null,
  next: string,
  warehouse = "file:///lake/warehouse",
): PointerMove {
  const location = [warehouse, ...identifier.namespace, identifier.name].join("/");
  const metadata = freshMetadata(
    { schema: PRICE_SCHEMA, location, uuid: "00000000-0000-4000-8000-000000000001" },
    1_790_000_000_000,
  );
  return { identifier, expected, next, metadata, base: expected === null ? null : metadata };
}
