import { CONTENT, type DataFile, type PartitionTuple } from "../../src/iceberg/manifest-model.ts";

/** A data file entry without a file: 250 rows, 1,000 bytes, no metrics. */
export function dataFile(file_path: string, partition: PartitionTuple): DataFile {
  return {
    content: CONTENT.data,
    file_path,
    file_format: "PARQUET",
    partition,
    record_count: 250,
    file_size_in_bytes: 1000,
    column_sizes: null,
    value_counts: null,
    null_value_counts: null,
    nan_value_counts: null,
    lower_bounds: null,
    upper_bounds: null,
    key_metadata: null,
    split_offsets: null,
    equality_ids: null,
    sort_order_id: null,
    referenced_data_file: null,
  };
}
