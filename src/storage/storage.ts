/**
 * Where table files lie. A location is an absolute URI (`file:///lake/warehouse/...`, `s3://bucket/...`).
 * Files are immutable once written: there is no update and no append.
 * What follows `file://` is the path itself, not percent-encoded: DuckDB, PyIceberg and Hadoop take it literally, and all of
 * them must find the same file by the same name.
 */
export interface Storage {
  /** The whole of a regular file. Throws FILE_NOT_FOUND, NOT_A_FILE (a folder, pipe or device), FILE_TOO_LARGE. */
  read(location: string): Promise<Uint8Array>;
  /**
   * A regular file in pieces, whatever its size. An object comes as one piece. Throws FILE_NOT_FOUND, NOT_A_FILE; a reader that takes
   * no more pieces leaves nothing open.
   */
  readPieces(location: string): AsyncIterable<Uint8Array>;
  /** Null where there is no regular file. */
  statOf(location: string): Promise<FileStat | null>;
  /**
   * Durable when it resolves; throws FILE_EXISTS rather than overwrite. Missing folders are made. What comes in pieces is not held
   * in memory as a whole where the storage can write on; where the pieces end with an error, no file is left.
   */
  write(location: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Makes a folder that engines will write data files into; object stores have none and do nothing. */
  makeFolder(location: string): Promise<void>;
  /** Makes a file durable that an engine wrote on its own (DuckDB does not fsync what it COPYs). */
  sync(location: string): Promise<void>;
  /**
   * Makes files durable that other programs wrote, several at a time, with their entries in folders and those of folders that are new.
   * Files that do not exist, and locations of another kind of storage, are skipped.
   */
  syncAll(locations: readonly string[]): Promise<void>;
  /** Whether this object itself has made the file durable, or the storage makes every file durable. */
  isKnownDurable(location: string): boolean;
  /** Removes a folder whose files are all deleted, with the empty folders below it; in an object store, the empty objects that stand for them. */
  removeFolder(location: string): Promise<void>;
  /** Deleting what is not there is no error: a retried deletion must succeed. */
  delete(location: string): Promise<void>;
  /** All files below the location, in no order. */
  list(location: string): AsyncIterable<{ location: string } & FileStat>;
}

export interface FileStat {
  size_bytes: number;
  modified_at_us: number;
}

/** The largest file that is read whole. Compaction copies data files, which are the largest ones. */
export const MAX_READ_BYTES = 1024 * 1024 * 1024;
