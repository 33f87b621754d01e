import type { Long } from "./model.ts";
import type { SingleValue } from "./bounds.ts";

/** The project's types for manifests and manifest lists (spec, "Manifests"); field ids are in manifest-schema.ts. */

export const CONTENT = { data: 0, position_deletes: 1, equality_deletes: 2 } as const;
export const STATUS = { existing: 0, added: 1, deleted: 2 } as const;
export const MANIFEST_CONTENT = { data: 0, deletes: 1 } as const;

/** By partition field id, because specs may name the same field differently. */
export type PartitionTuple = ReadonlyMap<number, SingleValue | null>;
export type ByColumn<T> = ReadonlyMap<number, T>;

export interface DataFile {
  content: number;
  file_path: string;
  file_format: string;
  partition: PartitionTuple;
  record_count: Long;
  file_size_in_bytes: Long;
  column_sizes: ByColumn<Long> | null;
  value_counts: ByColumn<Long> | null;
  null_value_counts: ByColumn<Long> | null;
  nan_value_counts: ByColumn<Long> | null;
  lower_bounds: ByColumn<Uint8Array> | null;
  upper_bounds: ByColumn<Uint8Array> | null;
  key_metadata: Uint8Array | null;
  split_offsets: Long[] | null;
  equality_ids: number[] | null;
  sort_order_id: number | null;
  referenced_data_file: string | null;
}

export interface ManifestEntry {
  status: number;
  /** Null in the file if inherited from the manifest (spec, "Sequence Number Inheritance"). */
  snapshot_id: Long | null;
  sequence_number: Long | null;
  file_sequence_number: Long | null;
  data_file: DataFile;
}

export interface FieldSummary {
  contains_null: boolean;
  contains_nan: boolean | null;
  lower_bound: Uint8Array | null;
  upper_bound: Uint8Array | null;
}

/** One entry of a manifest list. */
export interface ManifestFile {
  manifest_path: string;
  manifest_length: Long;
  partition_spec_id: number;
  content: number;
  sequence_number: Long;
  min_sequence_number: Long;
  added_snapshot_id: Long;
  added_files_count: number;
  existing_files_count: number;
  deleted_files_count: number;
  added_rows_count: Long;
  existing_rows_count: Long;
  deleted_rows_count: Long;
  partitions: FieldSummary[] | null;
  key_metadata: Uint8Array | null;
}
