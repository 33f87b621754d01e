import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatingError, messageOf } from "../../errors.ts";
import { logFailure } from "./failure.ts";

/** Stored in the file's header, so that another program's database, or another version's log, is refused and not rewritten. */
const APPLICATION_ID = 0x436f696e;
const FORMAT_VERSION = 1;

/** Larger pages than SQLite's 4 kB: segments are tens of kB, and overflow chains get shorter. */
const PAGE_BYTES = 8192;

/** A checkpoint copies the WAL into the file and fsyncs; this many pages (8 MiB) keep one below about 10 ms. */
const CHECKPOINT_PAGES = 1024;

/**
 * `partition.end_offset` is the authority on offsets: it stays when every segment is pruned. `segment.end_offset` is exclusive,
 * so "the segment that holds offset n" and all after it are one range scan of the key.
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

/** Opens or makes the log's file; throws LOG_CANNOT_OPEN, LOG_CORRUPT, LOG_FORMAT_UNKNOWN, LOG_LOCKED, LOG_READ_ONLY. */
export function openLogFile(file: string, max_size_bytes: number | undefined, busy_timeout_ms: number): DatabaseSync {
  makeFolder(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: busy_timeout_ms });
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
    database.exec("PRAGMA journal_mode = WAL");
    database.exec(`PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA foreign_keys = ON`);
    if (max_size_bytes !== undefined) database.exec(`PRAGMA max_page_count = ${Math.floor(max_size_bytes / PAGE_BYTES)}`);
    makeTables(database, file);
    // From here on waiting is done asynchronously: SQLite's own wait would block the event loop.
    database.exec("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database?.close();
    throw logFailure(file, "open", error);
  }
}

function makeFolder(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw new OperatingError("LOG_CANNOT_OPEN", `Could not make the folder of the log ${file}: ${messageOf(error)}`, {
      next_step: "Check that this user may write to the data folder.",
      cause: error,
    });
  }
}

function makeTables(database: DatabaseSync, file: string): void {
  if (readVersion(database) === FORMAT_VERSION) return;
  database.exec("BEGIN IMMEDIATE");
  try {
    const version = readVersion(database);
    if (version === 0) {
      database.exec(`${TABLES} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT_VERSION}`);
    } else if (version !== FORMAT_VERSION) {
      throw new OperatingError("LOG_FORMAT_UNKNOWN", `${file} is no log of this version (format ${version}, expected ${FORMAT_VERSION})`, {
        next_step: "Use the version of the program that wrote it, or another data folder.",
      });
    }
    database.exec("COMMIT");
  } finally {
    if (database.isTransaction) database.exec("ROLLBACK");
  }
}

/** 0 for an empty file; -1 for somebody else's database. */
function readVersion(database: DatabaseSync): number {
  const read = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  const version = read("PRAGMA user_version");
  if (read("PRAGMA application_id") === APPLICATION_ID) return version;
  return version === 0 && read("SELECT count(*) FROM sqlite_schema") === 0 ? 0 : -1;
}
