import assert from "node:assert/strict";
import type { Shape, Struct } from "./idl.ts";

/**
 * Thrift's binary protocol (thrift-binary-protocol.md in Apache Thrift), strict, without frames:
 *
 *   message = i32 0x8001 << 16 | kind, string name, i32 sequence id, struct
 *   struct  = { byte type, i16 field id, value } ..., byte 0
 *   string  = i32 length, bytes
 *   list    = byte type, i32 count, values
 *   map     = byte key type, byte value type, i32 count, pairs
 *
 * Numbers are big-endian.
 */
const VERSION_1 = 0x8001_0000;
export const MESSAGE_KIND = { call: 1, reply: 2, exception: 3 } as const;

const TYPE = {
  stop: 0,
  bool: 2,
  byte: 3,
  double: 4,
  i16: 6,
  i32: 8,
  i64: 10,
  string: 11,
  struct: 12,
  map: 13,
  set: 14,
  list: 15,
} as const;
const FIXED_SIZES: Record<number, number> = {
  [TYPE.bool]: 1,
  [TYPE.byte]: 1,
  [TYPE.double]: 8,
  [TYPE.i16]: 2,
  [TYPE.i32]: 4,
  [TYPE.i64]: 8,
};

/** Undefined fields are not sent. */
export type StructValue = { [field: string]: unknown };

export function encodeCall(method: string, args: Struct, value: StructValue, sequence_id: number): Buffer {
  const parts = [int32(VERSION_1 | MESSAGE_KIND.call), text(method), int32(sequence_id)];
  writeStruct(args, value, parts);
  return Buffer.concat(parts);
}

function writeStruct({ fields }: Struct, value: StructValue, parts: Buffer[]): void {
  for (const { id, name, shape } of fields) {
    if (value[name] === undefined) continue;
    parts.push(Buffer.from([TYPE[shape.kind], id >> 8, id & 0xff]));
    write(shape, value[name], parts);
  }
  parts.push(Buffer.from([TYPE.stop]));
}

function write(shape: Shape, value: unknown, parts: Buffer[]): void {
  if (shape.kind === "bool") parts.push(Buffer.from([value === true ? 1 : 0]));
  else if (shape.kind === "i32") parts.push(int32(value as number));
  else if (shape.kind === "string") parts.push(text(value as string));
  else if (shape.kind === "struct") writeStruct(shape.struct, value as StructValue, parts);
  else if (shape.kind === "list") {
    const items = value as unknown[];
    parts.push(Buffer.from([TYPE[shape.of.kind]]), int32(items.length));
    for (const item of items) write(shape.of, item, parts);
  } else {
    const entries = Object.entries(value as StructValue);
    parts.push(Buffer.from([TYPE[shape.key.kind], TYPE[shape.value.kind]]), int32(entries.length));
    for (const [key, item] of entries) {
      write(shape.key, key, parts);
      write(shape.value, item, parts);
    }
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int32(bytes.length), bytes]);
}

/** The bytes received so far end within a value, so more are needed. */
export class Incomplete extends Error {}

/** Reads one message from its beginning. Returns values of the requested shapes and skips all others. */
export class MessageReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Number of bytes read so far. */
  get size_bytes(): number {
    return this.#at;
  }

  /** Throws AssertionError if the bytes are not a message of this protocol, Incomplete if they end too early. */
  header(): { kind: number; method: string; sequence_id: number } {
    const version = this.#int32();
    assert.equal(version & 0xffff_0000, VERSION_1 | 0, "not a strict binary Thrift message");
    return { kind: version & 0xff, method: this.#text(), sequence_id: this.#int32() };
  }

  struct({ fields }: Struct): StructValue {
    const value: StructValue = {};
    for (let type = this.#byte(); type !== TYPE.stop; type = this.#byte()) {
      const id = this.#take(2).readInt16BE();
      const field = fields.find((each) => each.id === id);
      if (field !== undefined && TYPE[field.shape.kind] === type) value[field.name] = this.#read(field.shape);
      else this.#skip(type);
    }
    return value;
  }

  #read(shape: Shape): unknown {
    if (shape.kind === "bool") return this.#byte() !== 0;
    if (shape.kind === "i32") return this.#int32();
    if (shape.kind === "string") return this.#text();
    if (shape.kind === "struct") return this.struct(shape.struct);
    if (shape.kind === "list") {
      this.#expect(shape.of);
      return Array.from({ length: this.#int32() }, () => this.#read(shape.of));
    }
    // An empty map may have types of zero.
    const types = this.#take(2);
    const count = this.#int32();
    if (count > 0) assert.deepEqual([...types], [TYPE[shape.key.kind], TYPE[shape.value.kind]]);
    return Object.fromEntries(Array.from({ length: count }, () => [this.#read(shape.key), this.#read(shape.value)]));
  }

  #expect(shape: Shape): void {
    assert.equal(this.#byte(), TYPE[shape.kind]);
  }

  #skip(type: number): void {
    const size = FIXED_SIZES[type];
    if (size !== undefined) this.#take(size);
    else if (type === TYPE.string) this.#take(this.#int32());
    else if (type === TYPE.struct) this.struct({ name: "unknown", fields: [] });
    else if (type === TYPE.list || type === TYPE.set) this.#skipMany([this.#byte()]);
    else if (type === TYPE.map) this.#skipMany([...this.#take(2)]);
    else assert.fail(`unknown Thrift type ${type}`);
  }

  #skipMany(types: readonly number[]): void {
    const count = this.#int32();
    for (let index = 0; index < count; index += 1) for (const type of types) this.#skip(type);
  }

  #take(size: number): Buffer {
    assert.ok(size >= 0, "a negative length");
    if (this.#at + size > this.#bytes.length) throw new Incomplete();
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  #byte(): number {
    return this.#take(1).readUInt8();
  }

  #int32(): number {
    return this.#take(4).readInt32BE();
  }

  #text(): string {
    return this.#take(this.#int32()).toString();
  }
}
