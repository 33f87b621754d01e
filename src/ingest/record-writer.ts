import type { Field } from "../iceberg/model.ts";
import type { DataFile } from "../iceberg/manifest-model.ts";
import type { LogRecord } from "../log/log.ts";

/** Where the files of one write go, and what they must look like. */
export interface RecordTarget {
  /** The table's location; files go under its `data` folder. */
  location: string;
  topic: string;
  /** The bronze columns with the table's own ids and types. */
  columns: readonly Field[];
  /** Id of the identity partition field over `ingestion_date`. */
  partition_field_id: number;
}

/** Turns log records into data files of the bronze table. */
export interface RecordWriter {
  /**
   * Durable files, each of one ingestion date, rows in the order given; none for no records. When the batches or the writing
   * fail, the files written are deleted and the error is thrown: STORAGE_FULL or DATA_FILES_FAILED for the latter.
   */
  write(target: RecordTarget, batches: AsyncIterable<readonly LogRecord[]>): Promise<DataFile[]>;
  close(): void;
}
