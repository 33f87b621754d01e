import type { Field } from "../iceberg/model.ts";
import type { DataFile } from "../iceberg/manifest-model.ts";
import type { LogRecord } from "../log/log.ts";

/** The destination and layout of the files of one write. */
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
   * Writes durable files, one or more per ingestion date, with rows in the order given; no file for no records. On
   * failure, deletes the files written so far and throws: STORAGE_FULL or DATA_FILES_FAILED where the writing failed.
   */
  write(target: RecordTarget, batches: AsyncIterable<readonly LogRecord[]>): Promise<DataFile[]>;
  close(): void;
}
