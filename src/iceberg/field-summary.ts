import type { Long } from "./model.ts";
import { encodeBound, type SingleValue } from "./bounds.ts";
import type { FieldSummary, PartitionTuple } from "./manifest-model.ts";
import type { PartitionColumn } from "./transform.ts";

/**
 * Summaries of a manifest's partitions for the manifest list, by which readers skip manifests (spec, field_summary);
 * one per column. Pure.
 */
export function summarisePartitions(
  columns: readonly PartitionColumn[],
  tuples: readonly PartitionTuple[],
): FieldSummary[] {
  return columns.map(({ field_id, type }) => {
    const values = tuples.map((tuple) => tuple.get(field_id) ?? null);
    const numbers = values.filter((value) => value !== null && !Number.isNaN(value)) as SingleValue[];
    const lower = numbers.reduce<SingleValue | null>(
      (least, value) => (least === null || compareValues(value, least) < 0 ? value : least),
      null,
    );
    const upper = numbers.reduce<SingleValue | null>(
      (most, value) => (most === null || compareValues(value, most) > 0 ? value : most),
      null,
    );
    return {
      contains_null: values.includes(null),
      contains_nan: values.some((value) => Number.isNaN(value)),
      lower_bound: lower === null ? null : encodeBound(type, lower),
      upper_bound: upper === null ? null : encodeBound(type, upper),
    };
  });
}

/** The specification's order within one type: strings and binaries by unsigned bytes, other types by value. */
export function compareValues(a: SingleValue, b: SingleValue): number {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  const [left, right] = [a as Long | boolean, b as Long | boolean];
  return Number(left > right) - Number(left < right);
}
