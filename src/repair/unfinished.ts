import { nameOfTable } from "../iceberg/errors.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { coversOffsets, minOffsets } from "../log/offsets.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { rebuiltUpTo } from "../transform/rebuilding.ts";
import { consumedOffsetsOrNone } from "./bronze-plan.ts";
import { SEED_PROPERTY } from "./catalog-plan.ts";
import { planned, type RepairItem } from "./item.ts";

/**
 * The tables that a repair emptied and that are not rebuilt yet, because it was killed or dbt failed. They have no
 * damaged file, so nothing else finds them; the increments of a start complete them too.
 */
export function unfinishedTables(tables: readonly LoadedTable[], { bronze, reconciliation }: Pipeline): string[] {
  const held = tables.find(({ identifier }) => nameOfTable(identifier) === bronze.table);
  if (held === undefined) return [];
  const available = consumedOffsetsOrNone(held.metadata);
  return tables.flatMap(({ identifier, metadata }) => {
    const name = nameOfTable(identifier);
    const definition = reconciliation.tables[name];
    if (definition === undefined) return [];
    const is_complete =
      definition.is_seed === true
        ? metadata.properties[SEED_PROPERTY] !== undefined
        : coversOffsets(consumedOffsetsOrNone(metadata), minOffsets([rebuiltUpTo(metadata), available]));
    return is_complete ? [] : [name];
  });
}

export function itemOfUnfinished(table: string): RepairItem {
  return planned({
    table,
    file: null,
    problem: `${table}: an earlier repair emptied it and was interrupted before it was rebuilt`,
    action: "rebuild it from bronze",
  });
}
