import { tableNamed } from "../iceberg/errors.ts";
import type { TableCatalog } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { consumedOffsets } from "../ingest/offsets.ts";

/** How far a table has come in the log: the next offset to take, by "<topic>/<partition>"; empty for a table that is not there. */
export async function logOffsets(catalog: TableCatalog, table: string): Promise<Record<string, number>> {
  try {
    const { metadata } = await catalog.loadTable(tableNamed(table));
    return consumedOffsets(metadata);
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "TABLE_NOT_FOUND" || error.code === "NAMESPACE_NOT_FOUND"))
      return {};
    throw error;
  }
}

/** Whether a table at `consumed` has all that a table at `available` has. */
export function hasConsumed(consumed: Record<string, number>, available: Record<string, number>): boolean {
  return Object.entries(available).every(([partition, next]) => (consumed[partition] ?? 0) >= next);
}

/** How many records a table at `available` has that a table at `consumed` lacks. */
export function recordsAhead(consumed: Record<string, number>, available: Record<string, number>): number {
  return Object.entries(available).reduce(
    (records, [partition, next]) => records + Math.max(0, next - (consumed[partition] ?? 0)),
    0,
  );
}

/** By partition the greater of the two. */
export function greatestOf(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(names.map((name) => [name, Math.max(a[name] ?? 0, b[name] ?? 0)]));
}

/** The place up to which every one of the tables has come. */
export function leastOf(places: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const [first = {}, ...others] = places;
  return Object.fromEntries(
    Object.entries(first).map(([name, next]) => [name, Math.min(next, ...others.map((place) => place[name] ?? 0))]),
  );
}
