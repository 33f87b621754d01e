import type { DatabaseSync } from "node:sqlite";
import { openSqliteFile, openSqliteFileToRead, type SqliteFormat } from "../../base/sqlite.ts";

/** Pages larger than SQLite's default of 4 kB: segments are tens of kB, and overflow chains get shorter. */
const PAGE_BYTES = 8192;

/**
 * A checkpoint copies the WAL into the file and fsyncs; this many pages (8 MiB) keep a checkpoint below about 10 ms.
 */
const CHECKPOINT_PAGES = 1024;

/**
 * `partition.end_offset` is authoritative for offsets: it stays when every segment is pruned. `segment.end_offset` is
 * exclusive, so "the segment that holds offset n" and all later ones are one range scan of the key.
 */
const TABLES = `
  CREATE TABLE topic (
    topic_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE partition (
    topic_id INTEGER NOT NULL REFERENCES topic,
    partition INTEGER NOT NULL,
    begin_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE segment (
    segment_id INTEGER PRIMARY KEY,
    topic_id INTEGER NOT NULL REFERENCES topic,
    partition INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    record_count INTEGER NOT NULL,
    max_ingested_at_us INTEGER NOT NULL,
    strings TEXT NOT NULL,
    record_index BLOB NOT NULL,
    payloads BLOB NOT NULL,
    UNIQUE (topic_id, partition, end_offset)
  ) STRICT;
  CREATE TABLE position (
    topic_id INTEGER NOT NULL REFERENCES topic,
    producer TEXT NOT NULL,
    position TEXT NOT NULL,
    PRIMARY KEY (topic_id, producer)
  ) STRICT, WITHOUT ROWID;
`;

export const LOG_FORMAT: SqliteFormat = {
  prefix: "LOG",
  name: "the log",
  application_id: 0x436f696e,
  migrations: [TABLES],
  failures: {
    DISK_FULL: "Free disk space: sources wait and go on by themselves; what was acknowledged is on disk.",
    CORRUPT: "Restore the log's file from a copy; bronze holds every record up to its committed offsets.",
  },
};

/**
 * Opens or creates the log's file. Throws LOG_CANNOT_OPEN, LOG_CORRUPT, LOG_FORMAT_UNKNOWN, LOG_LOCKED, LOG_READ_ONLY.
 */
export function openLogFile(file: string, max_size_bytes: number | undefined, busy_timeout_ms: number): DatabaseSync {
  // A file of an older version keeps free pages for later records, and never shrinks.
  const pragmas =
    `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; ` +
    `PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA foreign_keys = ON`;
  const database = openSqliteFile(file, LOG_FORMAT, { busy_timeout_ms, pragmas });
  if (max_size_bytes !== undefined) database.exec(`PRAGMA max_page_count = ${Math.floor(max_size_bytes / PAGE_BYTES)}`);
  return database;
}

/** Opens an existing file. Throws as `openLogFile` does, and creates nothing. */
export function openLogFileToRead(file: string, busy_timeout_ms: number): DatabaseSync {
  return openSqliteFileToRead(file, LOG_FORMAT, { busy_timeout_ms });
}
