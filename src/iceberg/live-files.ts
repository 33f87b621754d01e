import type { PartitionSpec, Schema, Snapshot, TableMetadata } from "./model.ts";
import type { Storage } from "../storage/storage.ts";
import { decodeManifestList } from "./manifest-list.ts";
import { STATUS, type ManifestEntry, type ManifestFile, type PartitionTuple } from "./manifest-model.ts";
import { everyColumn, readManifest, specOf } from "./snapshot-files.ts";
import { partitionColumns } from "./transform.ts";

/** A live file of a snapshot, with its partition as text. */
export interface LiveFile {
  path: string;
  /** One of CONTENT. */
  content: number;
  /** `price_date=2026-03-14`; empty for a table without partitions. */
  partition: string;
  rows: number;
  size_bytes: number;
  snapshot_id: string;
}

const MS_PER_DAY = 86_400_000;
/** Limit on cached files. Manifests are immutable; a file takes about 500 bytes of memory, so the limit is 10 MB. */
const MAX_CACHED_FILES = 20_000;

/** The live files of a snapshot. */
export interface SnapshotContent {
  /** Files of the newest manifest first. */
  files: LiveFile[];
  manifests: number;
}

/**
 * The live files of snapshots, read only from manifests. An LRU cache of manifests, limited by their total number of
 * files.
 */
export class LiveFiles {
  readonly #storage: Storage;
  readonly #max_files: number;
  /** The least recently used manifest comes first. */
  readonly #manifests = new Map<string, LiveFile[]>();
  #cached_files = 0;

  constructor(storage: Storage, max_files = MAX_CACHED_FILES) {
    this.#storage = storage;
    this.#max_files = max_files;
  }

  /**
   * The files, those of the newest manifest first. Throws the storage's errors if the snapshot has expired meanwhile.
   */
  async of(metadata: TableMetadata, snapshot: Snapshot): Promise<LiveFile[]> {
    return (await this.contentOf(metadata, snapshot)).files;
  }

  /** Throws the storage's errors if the snapshot has expired meanwhile. */
  async contentOf(metadata: TableMetadata, snapshot: Snapshot): Promise<SnapshotContent> {
    const manifests = decodeManifestList(await this.#storage.read(snapshot["manifest-list"]));
    const lists: LiveFile[][] = [];
    for (const manifest of manifests) lists.push(await this.#filesIn(metadata, manifest));
    return { files: lists.flat(), manifests: manifests.length };
  }

  async #filesIn(metadata: TableMetadata, manifest: ManifestFile): Promise<LiveFile[]> {
    const known = this.#manifests.get(manifest.manifest_path);
    if (known !== undefined) {
      this.#manifests.delete(manifest.manifest_path);
      this.#manifests.set(manifest.manifest_path, known);
      return known;
    }
    const { entries } = await readManifest(this.#storage, metadata, manifest);
    const [spec, schema] = [specOf(metadata, manifest.partition_spec_id), everyColumn(metadata)];
    const files = entries
      .filter(({ status }) => status !== STATUS.deleted)
      .map((entry) => describe(entry, spec, schema));
    this.#keep(manifest.manifest_path, files);
    return files;
  }

  /** A manifest counts as one extra file; otherwise the number of cached empty manifests would be unlimited. */
  #keep(path: string, files: LiveFile[]): void {
    // Two concurrent callers may both have read it.
    if (this.#manifests.has(path)) return;
    this.#manifests.set(path, files);
    this.#cached_files += files.length + 1;
    for (const [oldest, { length }] of this.#manifests) {
      if (this.#cached_files <= this.#max_files) break;
      this.#manifests.delete(oldest);
      this.#cached_files -= length + 1;
    }
  }
}

function describe(entry: ManifestEntry, spec: PartitionSpec, schema: Schema): LiveFile {
  const { data_file } = entry;
  return {
    path: data_file.file_path,
    content: data_file.content,
    partition: partitionInWords(data_file.partition, spec, schema),
    rows: Number(data_file.record_count),
    size_bytes: Number(data_file.file_size_in_bytes),
    snapshot_id: String(entry.snapshot_id ?? ""),
  };
}

function partitionInWords(tuple: PartitionTuple, spec: PartitionSpec, schema: Schema): string {
  return partitionColumns(spec, schema)
    .map(({ field_id, name, type }, position) => {
      const value = tuple.get(field_id) ?? null;
      const is_date = type === "date" && typeof value === "number";
      const text = is_date ? new Date(value * MS_PER_DAY).toISOString().slice(0, 10) : String(value);
      return `${columnOf(spec.fields[position], schema) ?? name}=${text}`;
    })
    .join("/");
}

/** Identity fields are shown with their column's name, because engines name such fields differently. */
function columnOf(field: PartitionSpec["fields"][number] | undefined, schema: Schema): string | undefined {
  if (field?.transform !== "identity") return undefined;
  return schema.fields.find(({ id }) => id === field["source-id"])?.name;
}
