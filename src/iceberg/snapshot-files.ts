import { isSameLong } from "./long.ts";
import type { PartitionSpec, Schema, Snapshot, TableMetadata } from "./model.ts";
import { OperatingError } from "../base/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { decodeManifest, type ReadManifestOptions } from "./manifest.ts";
import { decodeManifestList } from "./manifest-list.ts";
import { STATUS, type ManifestEntry, type ManifestFile } from "./manifest-model.ts";

/** A manifest with its entries, including deleted ones, and their inherited values. */
export interface ReadManifest {
  manifest: ManifestFile;
  entries: ManifestEntry[];
}

/**
 * Limit on parallel reads: enough to keep a disk busy, few enough for the memory. A manifest has a few kB, rarely
 * megabytes.
 */
const READS_AT_ONCE = 16;

/** The manifests of a snapshot, in the order of its list. Throws the storage's errors, INVALID_AVRO. */
export async function readManifests(
  storage: Storage,
  metadata: TableMetadata,
  snapshot: Snapshot,
): Promise<ReadManifest[]> {
  const list = await readManifestList(storage, snapshot);
  const read: ReadManifest[] = [];
  for (let start = 0; start < list.length; start += READS_AT_ONCE) {
    const some = list.slice(start, start + READS_AT_ONCE);
    read.push(...(await Promise.all(some.map((manifest) => readManifest(storage, metadata, manifest)))));
  }
  return read;
}

export async function readManifest(
  storage: Storage,
  metadata: TableMetadata,
  manifest: ManifestFile,
  options: ReadManifestOptions = {},
): Promise<ReadManifest> {
  const kind = { schema: everyColumn(metadata), spec: specOf(metadata, manifest.partition_spec_id) };
  const bytes = await storage.read(manifest.manifest_path);
  return { manifest, entries: naming(manifest.manifest_path, () => decodeManifest(bytes, manifest, kind, options)) };
}

/** Throws the storage's errors, INVALID_AVRO with the file's name. */
export async function readManifestList(
  storage: Storage,
  { "manifest-list": location }: Pick<Snapshot, "manifest-list">,
): Promise<ManifestFile[]> {
  const bytes = await storage.read(location);
  return naming(location, () => decodeManifestList(bytes));
}

function naming<T>(location: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    throw new OperatingError(error.code, `${location}: ${error.message}`, { next_step: error.next_step, cause: error });
  }
}

/** The entries of the snapshot's live files. */
export function liveEntriesOf(manifests: readonly ReadManifest[], content: number): ManifestEntry[] {
  return manifests
    .filter(({ manifest }) => manifest.content === content)
    .flatMap(({ entries }) => entries.filter(({ status }) => status !== STATUS.deleted));
}

/** A spec without fields if the metadata lacks the spec: the partitions of such a manifest are unknown. */
export function specOf(metadata: TableMetadata, spec_id: number): PartitionSpec {
  return (
    metadata["partition-specs"].find((candidate) => (candidate["spec-id"] ?? 0) === spec_id) ?? {
      "spec-id": spec_id,
      fields: [],
    }
  );
}

/** The current columns, then those that only older schemas have: an old spec may use a dropped column. */
export function everyColumn(metadata: TableMetadata): Schema {
  const current = metadata.schemas.filter((schema) =>
    isSameLong(schema["schema-id"] ?? 0, metadata["current-schema-id"]),
  );
  const fields = [...current, ...metadata.schemas].flatMap((schema) => schema.fields);
  return {
    type: "struct",
    fields: fields.filter(({ id }, index) => fields.findIndex((other) => other.id === id) === index),
  };
}
