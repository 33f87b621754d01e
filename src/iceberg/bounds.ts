import assert from "node:assert/strict";
import type { Long } from "./model.ts";
import { canonicalLong } from "./long.ts";

/**
 * Single values as bytes (spec, appendix D, "Binary single-value serialization"), used for lower and upper bounds:
 *
 *   type                              value here      bytes
 *   boolean                           boolean         0x00 or 0x01
 *   int, date (days)                  number          4, little-endian
 *   long, time, timestamp(tz) (µs)    Long            8, little-endian
 *   float, double                     number          4 or 8, little-endian
 *   string                            string          UTF-8
 *   uuid, fixed[n], binary            Uint8Array      unchanged
 *   decimal(p,s)                      unscaled Long   fewest bytes, two's complement, big-endian
 */
export type SingleValue = boolean | Long | string | Uint8Array;

/** Length of bounds of strings and binaries in Iceberg's own writers: `truncate(16)`, in code points and bytes. */
export const BOUND_LENGTH = 16;

export function encodeBound(type: string, value: SingleValue): Uint8Array {
  if (type.startsWith("decimal")) return encodeDecimal(BigInt(value as Long));
  switch (type) {
    case "boolean":
      return Uint8Array.of(value === true ? 1 : 0);
    case "int":
    case "date":
      return fill(4, (bytes) => bytes.writeInt32LE(Number(value)));
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
      return fill(8, (bytes) => bytes.writeBigInt64LE(BigInt(value as Long)));
    case "float":
      return fill(4, (bytes) => bytes.writeFloatLE(Number(value)));
    case "double":
      return fill(8, (bytes) => bytes.writeDoubleLE(Number(value)));
    case "string":
      return Buffer.from(String(value), "utf8");
    default:
      assert(value instanceof Uint8Array, `a bound of type ${type} is bytes`);
      return value;
  }
}

/** The inverse. Files written before a type was widened have bounds of the narrower width. */
export function decodeBound(type: string, bytes: Uint8Array): SingleValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type.startsWith("decimal")) return decodeDecimal(buffer);
  switch (type) {
    case "boolean":
      return buffer[0] !== 0;
    case "int":
    case "date":
      return buffer.readInt32LE();
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
      return buffer.length === 4 ? buffer.readInt32LE() : canonicalLong(buffer.readBigInt64LE());
    case "float":
      return buffer.readFloatLE();
    case "double":
      return buffer.length === 4 ? buffer.readFloatLE() : buffer.readDoubleLE();
    case "string":
      return buffer.toString("utf8");
    default:
      return bytes;
  }
}

/** The prefix of at most BOUND_LENGTH code points, which is never above `value`. */
export function lowerStringBound(value: string): string {
  return leadingCodePoints(value, BOUND_LENGTH).join("");
}

/**
 * A string of at most BOUND_LENGTH code points that is not below `value`, in UTF-8 byte order; null if there is none:
 * the file then has no upper bound.
 */
export function upperStringBound(value: string): string | null {
  const points = leadingCodePoints(value, BOUND_LENGTH + 1);
  if (points.length <= BOUND_LENGTH) return value;
  const kept = points.slice(0, BOUND_LENGTH);
  for (let last = kept.length - 1; last >= 0; last -= 1) {
    const next = nextCodePoint(kept[last]?.codePointAt(0) ?? 0);
    if (next !== null) return kept.slice(0, last).join("") + String.fromCodePoint(next);
  }
  return null;
}

/** Reads only two code units per code point, so that a value of megabytes is not split as a whole. */
function leadingCodePoints(value: string, count: number): string[] {
  return Array.from(value.slice(0, count * 2)).slice(0, count);
}

/** UTF-8 cannot encode surrogates, so the successor of U+D7FF is U+E000. */
function nextCodePoint(point: number): number | null {
  if (point === 0x10ffff) return null;
  return point + 1 >= 0xd800 && point + 1 <= 0xdfff ? 0xe000 : point + 1;
}

function fill(size_bytes: number, write: (bytes: Buffer) => void): Uint8Array {
  const bytes = Buffer.alloc(size_bytes);
  write(bytes);
  return bytes;
}

function encodeDecimal(unscaled: bigint): Uint8Array {
  let size_bytes = 1;
  while (BigInt.asIntN(size_bytes * 8, unscaled) !== unscaled) size_bytes += 1;
  return encodeFixedDecimal(unscaled, size_bytes);
}

/** Two's complement, big-endian, sign-extended to the width, as in Avro's `fixed` for decimals. */
export function encodeFixedDecimal(unscaled: bigint, size_bytes: number): Uint8Array {
  const hex = BigInt.asUintN(size_bytes * 8, unscaled)
    .toString(16)
    .padStart(size_bytes * 2, "0");
  return Buffer.from(hex, "hex");
}

export function decodeDecimal(bytes: Uint8Array): Long {
  if (bytes.length === 0) return 0;
  return canonicalLong(BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString("hex")}`)));
}
