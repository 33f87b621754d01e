/**
 * Storage of table files. A location is an absolute URI (`file:///lake/warehouse/...`, `s3://bucket/...`). Files are
 * immutable once written: there is no update and no append. The text after `file://` is the literal path, not
 * percent-encoded: DuckDB, PyIceberg and Hadoop read it literally, and all of them must find the same file by the same
 * name.
 */
export interface Storage {
  /** Reads a regular file whole. Throws FILE_NOT_FOUND, NOT_A_FILE (a folder, pipe or device), FILE_TOO_LARGE. */
  read(location: string): Promise<Uint8Array>;
  /**
   * Reads a regular file of any size in chunks of at most a few MiB. Closes the file if the reader stops early. Throws
   * FILE_NOT_FOUND, NOT_A_FILE, and FILE_CHANGED if an object is replaced between two chunks.
   */
  readPieces(location: string): AsyncIterable<Uint8Array>;
  /** Null if the location is not a regular file. */
  statOf(location: string): Promise<FileStat | null>;
  /**
   * Durable when it resolves; creates missing folders. Throws FILE_EXISTS instead of overwriting. Chunks are streamed
   * if the storage supports it; if the chunks end with an error, no file remains.
   */
  write(location: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Creates a folder for the data files of engines; does nothing in object stores, which have no folders. */
  makeFolder(location: string): Promise<void>;
  /** Makes a file of an engine durable (DuckDB does not fsync the files that COPY writes). */
  sync(location: string): Promise<void>;
  /**
   * Makes files of other programs durable, several in parallel, with their folder entries and those of new folders.
   * Skips files that do not exist, and locations of other storages.
   */
  syncAll(locations: readonly string[]): Promise<void>;
  /** Whether this object has made the file durable, or the storage makes every file durable. */
  isKnownDurable(location: string): boolean;
  /**
   * Removes a folder whose files are all deleted, with its empty subfolders; in an object store, removes the empty
   * objects that represent folders.
   */
  removeFolder(location: string): Promise<void>;
  /** Deleting a missing file is no error, so that deletions can be retried. */
  delete(location: string): Promise<void>;
  /** All files below the location, in arbitrary order. */
  list(location: string): AsyncIterable<ListedFile>;
}

export interface ListedFile extends FileStat {
  location: string;
}

export interface FileStat {
  size_bytes: number;
  modified_at_us: number;
  /** The content's version, where a listing names one (the ETag of S3): other content has another version. */
  version?: string;
}

/** Limit on files that are read whole. Compaction copies data files, which are the largest ones. */
export const MAX_READ_BYTES = 1024 * 1024 * 1024;
