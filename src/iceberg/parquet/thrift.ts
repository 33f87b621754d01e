/**
 * Thrift's compact protocol, the encoding of Parquet footers, without schemas: a structure can be decoded, changed and
 * encoded again, with all unknown fields.
 * https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

export const TYPE = {
  true: 1,
  false: 2,
  i8: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
} as const;

export type ThriftStruct = Map<number, ThriftField>;
export interface ThriftList {
  element_type: number;
  items: ThriftValue[];
}
/** Integers are `bigint`; doubles and text are bytes. Maps are not supported, because footers have none. */
export type ThriftValue = boolean | bigint | Uint8Array | ThriftList | ThriftStruct;
export interface ThriftField {
  type: number;
  value: ThriftValue;
}

/** Throws RangeError if the bytes are not a structure of this protocol. */
export function decodeStruct(bytes: Uint8Array): ThriftStruct {
  return new Reader(bytes).struct();
}

export function encodeStruct(struct: ThriftStruct): Uint8Array {
  const writer = new Writer();
  writer.struct(struct);
  return Buffer.concat(writer.parts);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  struct(): ThriftStruct {
    const fields: ThriftStruct = new Map();
    let id = 0;
    for (;;) {
      const header = this.#byte();
      if (header === 0) return fields;
      const type = header & 0x0f;
      id = header >> 4 === 0 ? Number(unzigzag(this.#varint())) : id + (header >> 4);
      fields.set(id, {
        type,
        value: type === TYPE.true || type === TYPE.false ? type === TYPE.true : this.#value(type),
      });
    }
  }

  #value(type: number): ThriftValue {
    switch (type) {
      case TYPE.true:
      case TYPE.false:
        return this.#byte() === TYPE.true;
      case TYPE.i8:
        return BigInt(this.#byte());
      case TYPE.i16:
      case TYPE.i32:
      case TYPE.i64:
        return unzigzag(this.#varint());
      case TYPE.double:
        return this.#take(8);
      case TYPE.binary:
        return this.#take(Number(this.#varint()));
      case TYPE.list:
      case TYPE.set:
        return this.#list();
      case TYPE.struct:
        return this.struct();
      default:
        throw new RangeError(`type ${type} of Thrift is not read`);
    }
  }

  #list(): ThriftList {
    const header = this.#byte();
    const element_type = header & 0x0f;
    const count = header >> 4 === 15 ? Number(this.#varint()) : header >> 4;
    if (count > this.#bytes.length) throw new RangeError("a list of Thrift is longer than its bytes");
    return { element_type, items: Array.from({ length: count }, () => this.#value(element_type)) };
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number of Thrift has no end");
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new RangeError("a structure of Thrift has no end");
    this.#at += 1;
    return byte;
  }

  #take(length: number): Uint8Array {
    if (!(this.#at + length <= this.#bytes.length)) throw new RangeError("bytes of Thrift have no end");
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }
}

class Writer {
  readonly parts: Uint8Array[] = [];

  struct(struct: ThriftStruct): void {
    let last = 0;
    for (const [id, { type, value }] of [...struct].sort(([a], [b]) => a - b)) {
      const written_type = type === TYPE.true || type === TYPE.false ? (value === true ? TYPE.true : TYPE.false) : type;
      if (id - last <= 15) this.#byte(((id - last) << 4) | written_type);
      else {
        this.#byte(written_type);
        this.#varint(zigzag(BigInt(id)));
      }
      if (typeof value !== "boolean") this.#value(type, value);
      last = id;
    }
    this.#byte(0);
  }

  #value(type: number, value: ThriftValue): void {
    if (typeof value === "boolean") return this.#byte(value ? TYPE.true : TYPE.false);
    if (typeof value === "bigint") return type === TYPE.i8 ? this.#byte(Number(value)) : this.#varint(zigzag(value));
    if (value instanceof Map) return this.struct(value);
    if (value instanceof Uint8Array) {
      if (type === TYPE.binary) this.#varint(BigInt(value.length));
      this.parts.push(value);
      return;
    }
    const { element_type, items } = value;
    this.#byte((Math.min(items.length, 15) << 4) | element_type);
    if (items.length >= 15) this.#varint(BigInt(items.length));
    for (const item of items) this.#value(element_type, item);
  }

  #varint(value: bigint): void {
    const bytes: number[] = [];
    for (let rest = value; ; rest >>= 7n) {
      if (rest < 0x80n) {
        bytes.push(Number(rest));
        break;
      }
      bytes.push(Number(rest & 0x7fn) | 0x80);
    }
    this.parts.push(Uint8Array.from(bytes));
  }

  #byte(byte: number): void {
    this.parts.push(Uint8Array.of(byte));
  }
}

function zigzag(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}

function unzigzag(value: bigint): bigint {
  return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
}
