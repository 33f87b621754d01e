import { constants, crc32, deflateRawSync } from "node:zlib";

/**
 * One gzip member (RFC 1952, section 2.2) of several parts; parts seen before are not compressed again. Some readers,
 * such as DuckDB's Iceberg extension, decompress only the first member of a file, so one member per part is not
 * possible.
 *
 *   header (section 2.3), 10 bytes
 *   for each part: deflate blocks, none marked as the last, and a full flush: an empty stored block, which ends on a
 *     byte boundary (RFC 1951, section 3.2.4). No block refers to bytes before the flush, so parts can be joined in any
 *     order.
 *   an empty block of fixed Huffman codes that is marked as the last (RFC 1951, section 3.2.6), 2 bytes
 *   trailer: CRC-32 and length modulo 2^32 of the text (section 2.3.1), 8 bytes
 *
 * Pure. The cached result of a part lives as long as the part.
 */
export function gzipMember(parts: readonly Uint8Array[]): Uint8Array {
  const members = parts.map(partOf);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(
    members.reduce((sum, { crc, shift }) => (multiply(shift, sum) ^ crc) >>> 0, 0),
    0,
  );
  trailer.writeUInt32LE(
    parts.reduce((total, { length }) => (total + length) % 2 ** 32, 0),
    4,
  );
  return Buffer.concat([HEADER, ...members.map(({ deflated }) => deflated), LAST_BLOCK, trailer]);
}

/** Magic number, method deflate, no flags, no time, XFL 4 (fastest compression), OS 255 (unknown). */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255);
/** Bits, from the lowest: 1 (last block), 01 (fixed Huffman codes), 0000000 (end of block). */
const LAST_BLOCK = Uint8Array.of(0x03, 0x00);

interface Part {
  deflated: Uint8Array;
  crc: number;
  /** Factor for the CRC of all preceding bytes, see `shiftOf`. */
  shift: number;
}

const known_parts = new WeakMap<Uint8Array, Part>();

function partOf(bytes: Uint8Array): Part {
  let part = known_parts.get(bytes);
  if (part === undefined) {
    // A copy, because zlib's result is a view that would retain a larger buffer.
    const deflated = new Uint8Array(
      deflateRawSync(bytes, { level: constants.Z_BEST_SPEED, finishFlush: constants.Z_FULL_FLUSH }),
    );
    part = { deflated, crc: crc32(bytes), shift: shiftOf(bytes.length) };
    known_parts.set(bytes, part);
  }
  return part;
}

/**
 * The CRC of a text is a remainder of polynomials over GF(2). The CRC of two concatenated texts is therefore crc(a) ·
 * x^(8 · length of b) + crc(b), modulo the generator (as in zlib's crc32_combine). Coefficients are bits; that of x^0
 * is the highest.
 */
const GENERATOR = 0xedb88320;
const ONE = 0x80000000;
const X = 0x40000000;

/** a · b modulo the generator. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = ONE, power = b; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= power;
    power = (power & 1) === 0 ? power >>> 1 : (power >>> 1) ^ GENERATOR;
  }
  return product >>> 0;
}

/** x^(8 · length_bytes) modulo the generator, by squaring. */
function shiftOf(length_bytes: number): number {
  let result = ONE;
  let square = X;
  for (let exponent = length_bytes * 8; exponent > 0; exponent = Math.floor(exponent / 2)) {
    if (exponent % 2 === 1) result = multiply(square, result);
    square = multiply(square, square);
  }
  return result;
}
