import {
  TYPE,
  decodeStruct,
  encodeStruct,
  type ThriftField,
  type ThriftList,
  type ThriftStruct,
  type ThriftValue,
} from "./thrift.ts";

/** Footers of Parquet files, by the field numbers of parquet.thrift. */

const MAGIC = Buffer.from("PAR1");
const TRAILER_LENGTH = 8;

const FILE = { version: 1, schema: 2, rows: 3, row_groups: 4, key_values: 5, created_by: 6, column_orders: 7 } as const;
const GROUP = { columns: 1, rows: 3, file_offset: 5, ordinal: 7 } as const;
const CHUNK = { file_path: 1, file_offset: 2, meta_data: 3, indexes: [4, 5, 6, 7], crypto: 8, encrypted: 9 } as const;
const COLUMN = {
  compressed_size: 7,
  data_offset: 9,
  index_offset: 10,
  dictionary_offset: 11,
  bloom_offset: 14,
  bloom_length: 15,
} as const;
const ELEMENT = { name: 4, field_id: 9 } as const;

export interface Footer {
  rows: number;
  row_groups: ThriftStruct[];
  /** The fields that describe how to read row groups: files with equal bytes here can share a footer. */
  kind: Uint8Array;
  /** Names and field ids of the columns below the root, including groups. */
  columns: { name: string; field_id: number | null }[];
  struct: ThriftStruct;
}

/** Null for a file that is not Parquet, is encrypted, or has columns in other files. */
export function readFooter(bytes: Uint8Array): Footer | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.length - TRAILER_LENGTH;
  if (end < MAGIC.length || !buffer.subarray(-MAGIC.length).equals(MAGIC)) return null;
  const length = buffer.readUInt32LE(end);
  if (length > end - MAGIC.length) return null;
  const struct = decodeStruct(buffer.subarray(end - length, end));
  const row_groups = structsOf(struct.get(FILE.row_groups));
  if (row_groups.some((group) => chunksOf(group).some(isElsewhere))) return null;
  const shared = new Map(
    [FILE.version, FILE.schema, FILE.created_by, FILE.column_orders].flatMap((id) => fieldOf(struct, id)),
  );
  const elements = structsOf(struct.get(FILE.schema)).slice(1);
  return {
    rows: Number(integerOf(struct, FILE.rows)),
    row_groups,
    kind: encodeStruct(shared),
    columns: elements.map((element) => ({
      name: textOf(element, ELEMENT.name),
      field_id: numberOf(element, ELEMENT.field_id),
    })),
    struct,
  };
}

/**
 * The bytes of a row group, in chunks, and its description for the position `offset` in another file. Throws
 * RangeError.
 */
export function moveRowGroup(
  bytes: Uint8Array,
  group: ThriftStruct,
  offset: number,
  ordinal: number,
): { pieces: Uint8Array[]; group: ThriftStruct } {
  const pieces: Uint8Array[] = [];
  let at = offset;
  const take = (start: number, length: number): number => {
    if (!(start >= MAGIC.length && length >= 0 && start + length <= bytes.length))
      throw new RangeError("a column lies outside of its file");
    pieces.push(bytes.subarray(start, start + length));
    at += length;
    return at - length;
  };
  const columns = chunksOf(group).map((chunk) => {
    const column = new Map(structOf(chunk, CHUNK.meta_data));
    const start = startOf(column);
    const moved_by = take(start, Number(integerOf(column, COLUMN.compressed_size))) - start;
    for (const id of [COLUMN.data_offset, COLUMN.index_offset, COLUMN.dictionary_offset]) shift(column, id, moved_by);
    const moved = new Map([...chunk].filter(([id]) => !CHUNK.indexes.some((index) => index === id)));
    moved.set(CHUNK.file_offset, integer(TYPE.i64, start + moved_by));
    return moved.set(CHUNK.meta_data, { type: TYPE.struct, value: column });
  });
  for (const chunk of columns) {
    const column = structOf(chunk, CHUNK.meta_data);
    const [start, length] = [numberOf(column, COLUMN.bloom_offset), numberOf(column, COLUMN.bloom_length)];
    if (start !== null && length !== null) column.set(COLUMN.bloom_offset, integer(TYPE.i64, take(start, length)));
    else column.delete(COLUMN.bloom_offset);
  }
  const moved = new Map(group);
  moved.set(GROUP.columns, { type: TYPE.list, value: { element_type: TYPE.struct, items: columns } });
  if (moved.has(GROUP.file_offset)) moved.set(GROUP.file_offset, integer(TYPE.i64, offset));
  if (moved.has(GROUP.ordinal)) moved.set(GROUP.ordinal, integer(TYPE.i16, ordinal));
  return { pieces, group: moved };
}

/** Compressed size of all columns. */
export function sizeOfRowGroup(group: ThriftStruct): number {
  return chunksOf(group).reduce(
    (sum, chunk) => sum + Number(integerOf(structOf(chunk, CHUNK.meta_data), COLUMN.compressed_size)),
    0,
  );
}

export function rowsOfRowGroup(group: ThriftStruct): number {
  return Number(integerOf(group, GROUP.rows));
}

export function fileHeader(): Uint8Array {
  return MAGIC;
}

/** The end of a file with these row groups, without the writer's key-value metadata, which may differ between files. */
export function fileEnd({ struct }: Footer, row_groups: readonly ThriftStruct[]): Uint8Array {
  const written = new Map(struct);
  written.delete(FILE.key_values);
  written.set(
    FILE.rows,
    integer(
      TYPE.i64,
      row_groups.reduce((sum, group) => sum + rowsOfRowGroup(group), 0),
    ),
  );
  written.set(FILE.row_groups, { type: TYPE.list, value: { element_type: TYPE.struct, items: [...row_groups] } });
  const footer = encodeStruct(written);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([footer, length, MAGIC]);
}

function isElsewhere(chunk: ThriftStruct): boolean {
  return (
    chunk.has(CHUNK.file_path) || chunk.has(CHUNK.crypto) || chunk.has(CHUNK.encrypted) || !chunk.has(CHUNK.meta_data)
  );
}

/** A dictionary precedes the data; some writers write 0 if there is none. */
function startOf(column: ThriftStruct): number {
  const data = Number(integerOf(column, COLUMN.data_offset));
  const dictionary = numberOf(column, COLUMN.dictionary_offset);
  return dictionary !== null && dictionary >= MAGIC.length && dictionary < data ? dictionary : data;
}

function shift(column: ThriftStruct, id: number, by: number): void {
  const offset = numberOf(column, id);
  if (offset !== null && offset >= MAGIC.length) column.set(id, integer(TYPE.i64, offset + by));
}

function chunksOf(group: ThriftStruct): ThriftStruct[] {
  return structsOf(group.get(GROUP.columns));
}

function integer(type: number, value: number): ThriftField {
  return { type, value: BigInt(value) };
}

function fieldOf(struct: ThriftStruct, id: number): [number, ThriftField][] {
  const field = struct.get(id);
  return field === undefined ? [] : [[id, field]];
}

function integerOf(struct: ThriftStruct, id: number): bigint {
  const value = struct.get(id)?.value;
  if (typeof value !== "bigint") throw new RangeError(`field ${id} of a Parquet footer is no number`);
  return value;
}

function numberOf(struct: ThriftStruct, id: number): number | null {
  return struct.has(id) ? Number(integerOf(struct, id)) : null;
}

function textOf(struct: ThriftStruct, id: number): string {
  const value = struct.get(id)?.value;
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : "";
}

function structOf(struct: ThriftStruct, id: number): ThriftStruct {
  const value = struct.get(id)?.value;
  if (!(value instanceof Map)) throw new RangeError(`field ${id} of a Parquet footer is no structure`);
  return value;
}

function structsOf(field: ThriftField | undefined): ThriftStruct[] {
  return isList(field?.value) ? field.value.items.filter((item) => item instanceof Map) : [];
}

function isList(value: ThriftValue | undefined): value is ThriftList {
  return typeof value === "object" && "items" in value;
}
