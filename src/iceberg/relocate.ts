import type { Snapshot, TableMetadata } from "./model.ts";
import { decodeAvro, encodeAvro, type AvroSchema } from "./avro.ts";
import { CONTENT, STATUS } from "./manifest-model.ts";
import { fieldNames } from "./manifest-schema.ts";

/**
 * Rewrites table metadata with other locations. Iceberg names every file by its absolute location, in the metadata
 * file, the manifest lists and the manifests (spec, "Table Metadata", "Manifest Lists", "Manifests"). All other fields
 * stay unchanged, including unknown ones: files are decoded by the schema in their header and encoded with the same
 * schema. Pure.
 */
export type Locate = (location: string) => string;

/** Field ids in the specification's tables. */
const FIELD = {
  manifest_path: 500,
  manifest_length: 501,
  status: 0,
  data_file: 2,
  content: 134,
  file_path: 100,
  file_format: 101,
  record_count: 103,
  file_size_in_bytes: 104,
  lower_bounds: 125,
  upper_bounds: 128,
  referenced_data_file: 143,
} as const;
/** Field id of the column `file_path` in position delete files. */
export const DELETE_FILE_PATH_COLUMN = 2_147_483_646;
export const DELETE_POSITION_COLUMN = 2_147_483_545;

type Field = keyof typeof FIELD;
type Raw = Record<string, unknown>;

/** A file that a manifest names. */
export interface NamedFile {
  location: string;
  size_bytes: number;
  record_count: number;
  is_deleted: boolean;
  /** One of CONTENT. */
  content: number;
  /** In upper case. */
  file_format: string;
}

export interface NamedManifest {
  location: string;
  size_bytes: number;
}

class RawFile {
  readonly records: Raw[];
  readonly #schema: AvroSchema;
  readonly #metadata: ReadonlyMap<string, string>;
  readonly #names: ReadonlyMap<number, string>;

  constructor(bytes: Uint8Array) {
    const { metadata, records } = decodeAvro(bytes, new Map());
    this.records = records;
    this.#schema = JSON.parse(metadata.get("avro.schema") ?? "null") as AvroSchema;
    this.#metadata = metadata;
    this.#names = fieldNames(this.#schema);
  }

  get(record: Raw, field: Field): unknown {
    return record[this.#nameOf(field)];
  }

  set(record: Raw, field: Field, value: unknown): void {
    record[this.#nameOf(field)] = value;
  }

  encode(): Uint8Array {
    const own = [...this.#metadata].filter(([key]) => key !== "avro.schema" && key !== "avro.codec");
    return encodeAvro(this.#schema, this.records, Object.fromEntries(own));
  }

  /** Some writers of version 1 wrote no ids. */
  #nameOf(field: Field): string {
    return this.#names.get(FIELD[field]) ?? field;
  }
}

export function manifestsIn(manifest_list: Uint8Array): NamedManifest[] {
  const file = new RawFile(manifest_list);
  return file.records.map((record) => ({
    location: String(file.get(record, "manifest_path")),
    size_bytes: Number(file.get(record, "manifest_length")),
  }));
}

/** `moved` has the new location and size of each manifest, by its old location. */
export function relocateManifestList(manifest_list: Uint8Array, moved: ReadonlyMap<string, NamedManifest>): Uint8Array {
  const file = new RawFile(manifest_list);
  for (const record of file.records) {
    const manifest = moved.get(String(file.get(record, "manifest_path")));
    if (manifest === undefined) continue;
    file.set(record, "manifest_path", manifest.location);
    file.set(record, "manifest_length", manifest.size_bytes);
  }
  return file.encode();
}

export function filesIn(manifest: Uint8Array): NamedFile[] {
  const file = new RawFile(manifest);
  return file.records.map((record) => namedFile(file, record));
}

/** `rewritten` has the new location and size of each position delete file, by its old location. */
export function relocateManifest(
  manifest: Uint8Array,
  locate: Locate,
  rewritten: ReadonlyMap<string, NamedManifest>,
): Uint8Array {
  const file = new RawFile(manifest);
  for (const record of file.records) {
    const data_file = file.get(record, "data_file") as Raw;
    const { location, content } = namedFile(file, record);
    const moved = rewritten.get(location);
    file.set(data_file, "file_path", moved?.location ?? locate(location));
    if (moved !== undefined) file.set(data_file, "file_size_in_bytes", moved.size_bytes);
    const referenced = file.get(data_file, "referenced_data_file");
    if (typeof referenced === "string") file.set(data_file, "referenced_data_file", locate(referenced));
    if (content === CONTENT.position_deletes) relocateBounds(file, data_file, locate);
  }
  return file.encode();
}

function namedFile(file: RawFile, record: Raw): NamedFile {
  const data_file = file.get(record, "data_file") as Raw;
  return {
    location: String(file.get(data_file, "file_path")),
    size_bytes: Number(file.get(data_file, "file_size_in_bytes")),
    record_count: Number(file.get(data_file, "record_count")),
    is_deleted: file.get(record, "status") === STATUS.deleted,
    content: Number(file.get(data_file, "content") ?? CONTENT.data),
    file_format: String(file.get(data_file, "file_format")).toUpperCase(),
  };
}

/** Relocates the bounds of data file names. Omits truncated bounds, whose location is unknown. */
function relocateBounds(file: RawFile, data_file: Raw, locate: Locate): void {
  for (const field of ["lower_bounds", "upper_bounds"] as const) {
    const bounds = file.get(data_file, field) as { key: number; value: Uint8Array }[] | null | undefined;
    if (!Array.isArray(bounds)) continue;
    const kept = bounds.flatMap((bound) => {
      if (bound.key !== DELETE_FILE_PATH_COLUMN) return [bound];
      const name = Buffer.from(bound.value).toString();
      const located = locate(name);
      return located === name ? [] : [{ key: bound.key, value: Buffer.from(located) }];
    });
    file.set(data_file, field, kept);
  }
}

const STATISTICS = ["statistics", "partition-statistics"] as const;

/** Locations of Puffin and partition statistics files. */
export function statisticsIn(metadata: TableMetadata): string[] {
  return STATISTICS.flatMap((key) =>
    ((metadata[key] ?? []) as { "statistics-path": string }[]).map((file) => file["statistics-path"]),
  );
}

/**
 * `lists` has the new location of each manifest list, by its old location. Empties the log of earlier metadata files.
 */
export function relocateMetadata(
  metadata: TableMetadata,
  locate: Locate,
  lists: ReadonlyMap<string, string>,
): TableMetadata {
  const statistics = STATISTICS.filter((key) => Array.isArray(metadata[key])).map((key) => [
    key,
    (metadata[key] as { "statistics-path": string }[]).map((file) => ({
      ...file,
      "statistics-path": locate(file["statistics-path"]),
    })),
  ]);
  return {
    ...metadata,
    ...(Object.fromEntries(statistics) as Record<string, unknown>),
    location: locate(metadata.location),
    properties: relocateProperties(metadata.properties, locate),
    snapshots: metadata.snapshots.map((snapshot): Snapshot => ({
      ...snapshot,
      "manifest-list": lists.get(snapshot["manifest-list"]) ?? locate(snapshot["manifest-list"]),
    })),
    "metadata-log": [],
  };
}

/** Relocates properties such as `write.data.path` and a namespace's `location`. */
export function relocateProperties(
  properties: Readonly<Record<string, string>>,
  locate: Locate,
): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, locate(value)]));
}
