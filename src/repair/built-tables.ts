import { nameOfTable } from "../iceberg/errors.ts";
import { LOG_OFFSETS_PROPERTY, consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import type { LakeFiles } from "./lake-files.ts";
import { inspectTable, type TableState } from "./table-state.ts";

/** Whether dbt builds the table: one of silver or gold. */
export function isBuilt(table: string): boolean {
  return BUILT_LAYERS.some((layer) => table.startsWith(`${layer}.`));
}

/** The states of the silver and gold tables by name; every byte of `wanted` is read. */
export async function inspectBuilt(
  tables: readonly LoadedTable[],
  files: LakeFiles,
  wanted: string | null,
): Promise<ReadonlyMap<string, TableState>> {
  const states = new Map<string, TableState>();
  for (const loaded of tables) {
    const name = nameOfTable(loaded.identifier);
    if (isBuilt(name)) states.set(name, await inspectTable(loaded, files, { is_thorough: name === wanted }));
  }
  return states;
}

export function isDamaged(state: TableState): boolean {
  return state.damage.length > 0 || hasMalformedOffsets(state);
}

function hasMalformedOffsets({ loaded: { metadata } }: TableState): boolean {
  try {
    consumedOffsets(metadata);
    return false;
  } catch (error) {
    if (error instanceof OperatingError) return true;
    throw error;
  }
}

/** The damage in words, without a final period. */
export function problemOf(state: TableState): string {
  const { table, damage, loaded } = state;
  if (hasMalformedOffsets(state))
    return `${table}: its consumed offsets are ${loaded.metadata.properties[LOG_OFFSETS_PROPERTY]}`;
  if (damage.length === 0) return `${table}: no file is missing or truncated; it is rebuilt because --table names it`;
  return `${table}: ${damage.map(({ kind, file, words }) => `${kind} ${file} ${words}`).join("; ")}`;
}
