import type { Long, Snapshot } from "./model.ts";
import { decodeAvro, encodeAvro } from "./avro.ts";
import type { FieldSummary, ManifestFile } from "./manifest-model.ts";
import { MANIFEST_LIST_SCHEMA, fieldNames } from "./manifest-schema.ts";

const NAMES = fieldNames(MANIFEST_LIST_SCHEMA);

export function encodeManifestList(
  snapshot: Pick<Snapshot, "snapshot-id" | "sequence-number" | "parent-snapshot-id">,
  manifests: readonly ManifestFile[],
): Uint8Array {
  return encodeAvro(MANIFEST_LIST_SCHEMA, manifests, {
    "snapshot-id": String(snapshot["snapshot-id"]),
    "parent-snapshot-id": String(snapshot["parent-snapshot-id"] ?? "null"),
    "sequence-number": String(snapshot["sequence-number"]),
    "format-version": "2",
  });
}

/** Decodes a manifest list of any writer; fields that version 1 does not write are 0, as the specification requires. */
export function decodeManifestList(bytes: Uint8Array): ManifestFile[] {
  return decodeAvro(bytes, NAMES).records.map((raw) => {
    const long = (name: string): Long => (raw[name] as Long | null | undefined) ?? 0;
    const int = (name: string): number => Number(long(name));
    return {
      manifest_path: raw["manifest_path"] as string,
      manifest_length: long("manifest_length"),
      partition_spec_id: int("partition_spec_id"),
      content: int("content"),
      sequence_number: long("sequence_number"),
      min_sequence_number: long("min_sequence_number"),
      added_snapshot_id: long("added_snapshot_id"),
      added_files_count: int("added_files_count"),
      existing_files_count: int("existing_files_count"),
      deleted_files_count: int("deleted_files_count"),
      added_rows_count: long("added_rows_count"),
      existing_rows_count: long("existing_rows_count"),
      deleted_rows_count: long("deleted_rows_count"),
      partitions:
        (raw["partitions"] as FieldSummary[] | null | undefined)?.map((summary) => Object.assign({}, summary)) ?? null,
      key_metadata: (raw["key_metadata"] as Uint8Array | null | undefined) ?? null,
    };
  });
}
