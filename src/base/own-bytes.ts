/**
 * Encodes text as UTF-8 in a buffer that shares its memory with no other, for bytes that are retained in a ring, cache
 * or queue. `Buffer.from(text)` and `Buffer.concat` allocate short results in a shared slab of 64 KiB, and a slab stays
 * in memory until its last buffer is freed: one retained frame of 300 bytes can hold all 64 KiB.
 */
export function ownBytes(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** Memory that a retained buffer occupies: all of its underlying allocation. */
export function heldBytes({ buffer }: Uint8Array): number {
  return buffer.byteLength;
}
