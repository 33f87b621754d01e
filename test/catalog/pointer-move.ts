import { freshMetadata } from "../../src/iceberg/metadata/fresh.ts";
import type { TableIdentifier } from "../../src/iceberg/model.ts";
import type { PointerMove } from "../../src/catalog/store.ts";
import { PRICE_SCHEMA } from "./lake.ts";

/** A pointer move for tests of stores alone: it has a table's metadata, but no file contains it. */
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
