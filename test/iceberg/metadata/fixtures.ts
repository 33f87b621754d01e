import { emptyMetadata, freshMetadata } from "../../../src/iceberg/metadata/fresh.ts";
import { applyUpdates } from "../../../src/iceberg/metadata/updates.ts";
import type { TableMetadata, Update } from "../../../src/iceberg/model.ts";
import { appendOf, PRICE_SCHEMA } from "../../catalog/lake.ts";

export const NOW_MS = 1_800_000_000_000;
export const UUID = "9c12d441-03fe-4693-9a96-a0705ddf69c1";
export const LOCATION = "file:///lake/warehouse/bronze/prices";

/** Freezes the value deeply: any write to it throws, which proves that inputs are never mutated. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

export function newTable(properties: Record<string, string> = {}): TableMetadata {
  const partition_spec = { fields: [{ name: "price_date", transform: "identity", "source-id": 3 }] };
  return deepFreeze(
    freshMetadata({ schema: PRICE_SCHEMA, partition_spec, properties, location: LOCATION, uuid: UUID }, NOW_MS),
  );
}

/** The table after `updates`, all frozen. */
export function after(base: TableMetadata, ...updates: Update[]): TableMetadata {
  return deepFreeze(applyUpdates(deepFreeze(base), deepFreeze(updates), NOW_MS));
}

/** Snapshots 1 to `count`, one commit each. */
export function tableWithSnapshots(count: number): TableMetadata {
  let metadata = newTable();
  for (let id = 1; id <= count; id += 1) metadata = after(metadata, ...appendOf(id, id, id === 1 ? null : id - 1));
  return metadata;
}

export { emptyMetadata };
