import type { Long } from "./model.ts";

/** Compares 64-bit integers parsed from JSON: `5` equals `5n`. */
export function isSameLong(a: Long | null | undefined, b: Long | null | undefined): boolean {
  if (a == null || b == null) return a == null && b == null;
  return typeof a === typeof b ? a === b : BigInt(a) === BigInt(b);
}

/** The exact sum; a number if it fits, as in parsed JSON. */
export function addLongs(a: Long, b: Long): Long {
  return canonicalLong(BigInt(a) + BigInt(b));
}

export function maxLong(a: Long, b: Long): Long {
  return a < b ? b : a;
}

/** The canonical representation of a value, so that ids can be keys of a Set or Map. */
export function canonicalLong(value: Long): Long {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}
