/**
 * Text as UTF-8 in memory that belongs to these bytes alone, for bytes that are kept: in a ring, a cache, a queue.
 * `Buffer.from(text)` and `Buffer.concat` cut short results from a slab of 64 KiB that buffers share, and a slab stays
 * until its last buffer goes: one kept frame of 300 bytes can hold all 64 KiB.
 */
export function ownBytes(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** What a kept buffer costs: all of the memory that it holds, not only the part that it shows. */
export function heldBytes({ buffer }: Uint8Array): number {
  return buffer.byteLength;
}
