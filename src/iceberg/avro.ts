import { randomBytes } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import avsc from "avsc";
import { canonicalLong } from "./long.ts";
import type { Long } from "./model.ts";
import { OperatingError, messageOf } from "../base/errors.ts";

/**
 * Avro object container files (Avro 1.12, "Object Container Files"):
 *
 *   "Obj" 0x01, file metadata as a map of bytes, a 16-byte sync marker,
 *   then blocks: record count, size in bytes, the records (deflated or plain), the sync marker again.
 *
 * The library encodes records. This module writes the framing, because the schema in the header must keep Iceberg's
 * `field-id`s, which the library's writer drops.
 */
export type AvroSchema =
  | string
  | AvroSchema[]
  | { type: AvroSchema; name?: string; fields?: AvroField[]; items?: AvroSchema; [key: string]: unknown };
export interface AvroField {
  name: string;
  type: AvroSchema;
  "field-id"?: number;
  default?: unknown;
}

export interface AvroFile {
  metadata: Map<string, string>;
  records: Record<string, unknown>[];
}

const MAGIC = Buffer.from("Obj\u0001", "latin1");
const SYNC_BYTES = 16;
/** Readers decode one block at a time; Avro's default block has a similar size. */
const BLOCK_RECORDS = 1000;

/** Exact 64-bit integers: a number if it fits, else a bigint, as everywhere in the project. */
const LONG = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer): Long => canonicalLong(bytes.readBigInt64LE()),
  toBuffer(value: Long): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: (value: number): Long => value,
  toJSON: (value: Long): number => Number(value),
  isValid: (value: unknown): boolean => typeof value === "bigint" || Number.isSafeInteger(value),
  compare: (a: Long, b: Long): number => Number(a > b) - Number(a < b),
});

const METADATA = typeOf({ type: "map", values: "bytes" });

export function encodeAvro(
  schema: AvroSchema,
  records: readonly object[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const type = typeOf(schema);
  const sync = randomBytes(SYNC_BYTES);
  const header = { "avro.schema": JSON.stringify(schema), "avro.codec": "deflate", ...metadata };
  const header_bytes = Object.fromEntries(Object.entries(header).map(([key, value]) => [key, Buffer.from(value)]));
  const parts: Buffer[] = [MAGIC, METADATA.toBuffer(header_bytes), sync];
  for (let from = 0; from < records.length; from += BLOCK_RECORDS) {
    const block = records.slice(from, from + BLOCK_RECORDS);
    const body = deflateRawSync(Buffer.concat(block.map((record) => type.toBuffer(record))));
    parts.push(LONG.toBuffer(block.length), LONG.toBuffer(body.length), body, sync);
  }
  return Buffer.concat(parts);
}

/**
 * The records of a file of any writer. Fields are resolved by Iceberg field id (spec, appendix A): a field whose id is
 * in `names` gets that name, others keep theirs. Throws INVALID_AVRO.
 */
export function decodeAvro(bytes: Uint8Array, names: ReadonlyMap<number, string>): AvroFile {
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), names);
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw malformed(messageOf(error), error);
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

function decode(file: Buffer, names: ReadonlyMap<number, string>): AvroFile {
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) throw malformed("it does not begin with Avro's magic bytes");
  let at = MAGIC.length;
  const take = (type: avsc.Type): unknown => {
    const { value, offset } = type.decode(file, at);
    if (offset <= at || offset > file.length) throw malformed("it ends in the middle");
    at = offset;
    return value;
  };
  const header = take(METADATA) as Record<string, Buffer>;
  const metadata = new Map(Object.entries(header).map(([key, value]) => [key, UTF8.decode(value)]));
  const type = typeOf(renameFields(JSON.parse(metadata.get("avro.schema") ?? "null") as AvroSchema, names));
  const inflate = inflaterOf(metadata.get("avro.codec") ?? "null");
  const sync = file.subarray(at, (at += SYNC_BYTES));
  const records: Record<string, unknown>[] = [];
  while (at < file.length) {
    const count = Number(take(LONG));
    const size_bytes = Number(take(LONG));
    const body_end = at + size_bytes;
    if (count < 0 || size_bytes < 0 || !file.subarray(body_end, body_end + SYNC_BYTES).equals(sync))
      throw malformed("a block is cut off");
    const body = inflate(file.subarray(at, body_end));
    let record_at = 0;
    for (let i = 0; i < count; i += 1) {
      const { value, offset } = type.decode(body, record_at);
      if (offset < record_at || offset > body.length) throw malformed("a record is cut off");
      records.push(value as Record<string, unknown>);
      record_at = offset;
    }
    if (record_at !== body.length) throw malformed("a block holds more than its records");
    at = body_end + SYNC_BYTES;
  }
  return { metadata, records };
}

function inflaterOf(codec: string): (body: Buffer) => Buffer {
  if (codec === "null") return (body) => body;
  if (codec === "deflate") return (body) => inflateRawSync(body);
  throw malformed(`its codec is ${codec}, and only deflate and null are read`);
}

/** The writer's schema with the reader's names. Pure. */
function renameFields(schema: AvroSchema, names: ReadonlyMap<number, string>): AvroSchema {
  if (schema === null || typeof schema === "string") return schema;
  if (Array.isArray(schema)) return schema.map((branch) => renameFields(branch, names));
  const renamed = { ...schema };
  if (schema.fields !== undefined) {
    renamed.fields = schema.fields.map((field) => {
      const id = field["field-id"];
      const name = (id === undefined ? undefined : names.get(id)) ?? field.name;
      return { ...field, name, type: renameFields(field.type, names) };
    });
  } else if (schema.items !== undefined) {
    renamed.items = renameFields(schema.items, names);
  } else if (typeof schema.type === "object") {
    renamed.type = renameFields(schema.type, names);
  }
  return renamed;
}

function typeOf(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema, { typeHook: exactLong, wrapUnions: false });
}

/** Writers write the type as a string or an object, with or without a logical type. */
function exactLong(schema: avsc.Schema): avsc.Type | undefined {
  const is_long = schema === "long" || (typeof schema === "object" && "type" in schema && schema.type === "long");
  return is_long ? LONG : undefined;
}

function malformed(why: string, cause?: unknown): OperatingError {
  return new OperatingError("INVALID_AVRO", `This is no readable Avro file: ${why}`, {
    next_step:
      "Check the file against the table's metadata; restore it from a copy, " +
      "or roll the table back to an older snapshot.",
    cause,
  });
}
