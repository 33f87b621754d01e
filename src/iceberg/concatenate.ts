import type { Field, Long } from "./model.ts";
import { addLongs } from "./long.ts";
import type { Storage } from "../storage/storage.ts";
import { decodeBound, type SingleValue } from "./bounds.ts";
import { CONTENT, type ByColumn, type DataFile } from "./manifest-model.ts";
import { fileEnd, fileHeader, moveRowGroup, readFooter, sizeOfRowGroup, type Footer } from "./parquet/footer.ts";
import type { ThriftStruct } from "./parquet/thrift.ts";

/**
 * Concatenates Parquet files by copying their row groups unchanged. No value is decoded, so the cost is reading and
 * writing the bytes. Row groups below this size are better decoded and rewritten as larger ones.
 */
const MIN_ROW_GROUP_BYTES = 256 * 1024;
/** Parquet numbers row groups with 16 bits. */
const MAX_ROW_GROUPS = 10_000;

export interface ConcatenationInput {
  files: readonly DataFile[];
  /** The table's current columns: a file with other columns must be decoded and rewritten. */
  columns: readonly Field[];
}

/**
 * Writes the rows of the files, in order, to a new file at `location`, durable when it resolves. Returns null if the
 * files are unsuitable; then no file is written. Throws the errors of the storage.
 */
export async function concatenate(
  storage: Storage,
  input: ConcatenationInput,
  location: string,
): Promise<DataFile | null> {
  const size_bytes = input.files.reduce((sum, file) => sum + Number(file.file_size_in_bytes), 0);
  if (size_bytes < MIN_ROW_GROUP_BYTES * input.files.length) return null;
  const joined = new Joined(input.columns);
  try {
    await storage.write(location, joined.bytesOf(storage, input.files));
  } catch (error) {
    if (joined.is_unsuitable) return null;
    throw error;
  }
  return {
    ...metricsOf(input),
    file_path: location,
    file_size_in_bytes: joined.size_bytes,
    split_offsets: joined.offsets,
  };
}

class Joined {
  readonly #columns: readonly Field[];
  readonly #row_groups: ThriftStruct[] = [];
  readonly offsets: Long[] = [];
  size_bytes = 0;
  is_unsuitable = false;

  constructor(columns: readonly Field[]) {
    this.#columns = columns;
  }

  async *bytesOf(storage: Storage, files: readonly DataFile[]): AsyncGenerator<Uint8Array> {
    let first: Footer | null = null;
    yield this.#count(fileHeader());
    for (const file of files) {
      const bytes = await storage.read(file.file_path);
      const { footer, pieces } = this.#moved(bytes, file, first);
      first ??= footer;
      for (const piece of pieces) yield this.#count(piece);
    }
    if (first !== null) yield this.#count(fileEnd(first, this.#row_groups));
  }

  #count(bytes: Uint8Array): Uint8Array {
    this.size_bytes += bytes.length;
    return bytes;
  }

  /**
   * The parts of the file that are copied. A damaged file is unsuitable too; the reader of its values reports the
   * damage. Finds all parts before writing any, so that a failed write is never mistaken for an unsuitable file.
   */
  #moved(bytes: Uint8Array, file: DataFile, first: Footer | null): { footer: Footer; pieces: Uint8Array[] } {
    this.is_unsuitable = true;
    const footer = readFooter(bytes);
    if (footer === null || !this.#isSuitable(footer, file, first))
      throw new RangeError(`${file.file_path} cannot be joined to others`);
    const pieces: Uint8Array[] = [];
    let offset = this.size_bytes;
    for (const group of footer.row_groups) {
      this.offsets.push(offset);
      const moved = moveRowGroup(bytes, group, offset, this.#row_groups.length);
      this.#row_groups.push(moved.group);
      pieces.push(...moved.pieces);
      offset += moved.pieces.reduce((sum, { length }) => sum + length, 0);
    }
    this.is_unsuitable = false;
    return { footer, pieces };
  }

  #isSuitable(footer: Footer, file: DataFile, first: Footer | null): boolean {
    const { row_groups, columns, rows, kind } = footer;
    const sizes = row_groups.map(sizeOfRowGroup);
    const is_current =
      columns.length === this.#columns.length &&
      columns.every(
        ({ name, field_id }, index) => name === this.#columns[index]?.name && field_id === this.#columns[index].id,
      );
    return (
      is_current &&
      rows === Number(file.record_count) &&
      (first === null || Buffer.from(kind).equals(first.kind)) &&
      sizes.reduce((sum, size) => sum + size, 0) >= MIN_ROW_GROUP_BYTES * sizes.length &&
      this.#row_groups.length + row_groups.length <= MAX_ROW_GROUPS
    );
  }
}

/** The combined metrics of the files; a metric that one of them lacks is omitted. */
function metricsOf({
  files,
  columns,
}: ConcatenationInput): Omit<DataFile, "file_path" | "file_size_in_bytes" | "split_offsets"> {
  const [first] = files;
  if (first === undefined) throw new TypeError("there are no files to put together");
  const sum = (of: (file: DataFile) => ByColumn<Long> | null) => merged(files.map(of), addLongs);
  const bound = (of: (file: DataFile) => ByColumn<Uint8Array> | null, isBetter: (a: number) => boolean) =>
    merged(
      files.map((file) => withoutNulls(file, of(file))),
      (a, b, id) => better(columns, id, a, b, isBetter),
    );
  return {
    content: CONTENT.data,
    file_format: first.file_format,
    partition: first.partition,
    record_count: files.reduce<Long>((total, { record_count }) => addLongs(total, record_count), 0),
    column_sizes: sum(({ column_sizes }) => column_sizes),
    value_counts: sum(({ value_counts }) => value_counts),
    null_value_counts: sum(({ null_value_counts }) => null_value_counts),
    nan_value_counts: sum(({ nan_value_counts }) => nan_value_counts),
    lower_bounds: bound(
      ({ lower_bounds }) => lower_bounds,
      (order) => order <= 0,
    ),
    upper_bounds: bound(
      ({ upper_bounds }) => upper_bounds,
      (order) => order >= 0,
    ),
    key_metadata: null,
    equality_ids: null,
    sort_order_id: null,
    referenced_data_file: null,
  };
}

/** Marks a column without values in a file: it has no bounds, and does not affect the bounds of other files. */
const NO_VALUES = null;

function withoutNulls(
  { record_count, null_value_counts }: DataFile,
  bounds: ByColumn<Uint8Array> | null,
): ByColumn<Uint8Array | null> | null {
  if (bounds === null) return null;
  const all_null = [...(null_value_counts ?? [])].filter(
    ([id, nulls]) => !bounds.has(id) && BigInt(nulls) === BigInt(record_count),
  );
  return new Map<number, Uint8Array | null>([...bounds, ...all_null.map(([id]) => [id, NO_VALUES] as const)]);
}

function merged<T>(
  maps: readonly (ByColumn<T | null> | null)[],
  merge: (a: T, b: T, id: number) => T | null,
): ByColumn<T> | null {
  const [first] = maps;
  if (first == null || maps.includes(null)) return null;
  const result = new Map<number, T>();
  for (const id of first.keys()) {
    if (!maps.every((map) => map?.has(id))) continue;
    const [head = null, ...rest] = maps.map((map) => map?.get(id) ?? null).filter((value) => value !== null);
    const value = rest.reduce<T | null>((a, b) => (a === null ? null : merge(a, b, id)), head);
    if (value !== null) result.set(id, value);
  }
  return result;
}

/** The bound that holds for both files; null if the values cannot be compared. */
function better(
  columns: readonly Field[],
  id: number,
  a: Uint8Array,
  b: Uint8Array,
  isBetter: (order: number) => boolean,
): Uint8Array | null {
  const type = columns.find((column) => column.id === id)?.type;
  if (typeof type !== "string") return null;
  return isBetter(compare(type, decodeBound(type, a), decodeBound(type, b), a, b)) ? a : b;
}

/** Compares text and binaries as bytes, as Parquet and Iceberg order them. */
function compare(type: string, a: SingleValue, b: SingleValue, a_bytes: Uint8Array, b_bytes: Uint8Array): number {
  if (typeof a === "string" || a instanceof Uint8Array || type === "boolean") return Buffer.compare(a_bytes, b_bytes);
  return a < b ? -1 : a > b ? 1 : 0;
}
