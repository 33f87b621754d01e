import type { Long } from "./model.ts";

/** 64-bit integers that arrived as JSON: `5` and `5n` are the same. */
export function isSameLong(a: Long | null | undefined, b: Long | null | undefined): boolean {
  if (a == null || b == null) return a == null && b == null;
  return typeof a === typeof b ? a === b : BigInt(a) === BigInt(b);
}

/** Exact; a number again where it fits one, as parsed JSON has it. */
export function addLongs(a: Long, b: Long): Long {
  return canonicalLong(BigInt(a) + BigInt(b));
}

export function maxLong(a: Long, b: Long): Long {
  return a < b ? b : a;
}

/** One spelling per value, so that ids can be keys of a Set or Map. */
export function canonicalLong(value: Long): Long {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}
