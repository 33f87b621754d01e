import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatingError, messageOf } from "../../errors.ts";

/** In the file's header: another program's database, or another version's, is refused and not rewritten. */
const APPLICATION_ID = 0x436f616c;
const FORMAT_VERSION = 1;

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
const [BUSY, LOCKED, READONLY, FULL, CORRUPT, NOTADB] = [5, 6, 8, 13, 11, 26];

/**
 * One file: a tick's alert, its deliveries, the state of its rule and how far the log is judged change in one transaction.
 * `alert.body` is the alert as JSON; the columns beside it are what is searched by. `delivery` is the outbox.
 */
const TABLES = `
  CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE rule (
    rule_seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE sink (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE alert (
    alert_seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    rule_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX alert_by_rule ON alert (rule_id, alert_seq);
  CREATE INDEX alert_by_subject ON alert (subject, alert_seq);
  CREATE INDEX alert_active ON alert (alert_seq) WHERE is_active = 1;
  CREATE TABLE subject_state (
    rule_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    active_alert TEXT,
    ended_at_us INTEGER,
    opened_at_us INTEGER,
    memo TEXT NOT NULL,
    PRIMARY KEY (rule_id, subject)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE progress (
    partition TEXT PRIMARY KEY,
    next_offset INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE delivery (
    delivery_seq INTEGER PRIMARY KEY,
    alert_id TEXT NOT NULL,
    event TEXT NOT NULL,
    sink_id TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at_us INTEGER NOT NULL,
    next_attempt_at_us INTEGER,
    sent_at_us INTEGER,
    last_error TEXT,
    resume TEXT,
    UNIQUE (alert_id, event, sink_id)
  ) STRICT;
  CREATE INDEX delivery_due ON delivery (sink_id, next_attempt_at_us) WHERE state = 'waiting';
  CREATE INDEX delivery_next ON delivery (next_attempt_at_us) WHERE state = 'waiting';
  CREATE INDEX delivery_failed ON delivery (delivery_seq) WHERE state = 'failed';
`;

/** Opens or makes the file; throws ALERTS_CANNOT_OPEN, ALERTS_LOCKED, ALERTS_FORMAT_UNKNOWN, ALERTS_CORRUPT ... */
export function openAlertsFile(file: string, busy_timeout_ms: number): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    database = new DatabaseSync(file, { timeout: busy_timeout_ms });
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    makeTables(database, file);
    // From here on waiting is done asynchronously: SQLite's own wait would block the event loop.
    database.exec("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database?.close();
    throw alertsFailure(file, "open", error);
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
      throw new OperatingError("ALERTS_FORMAT_UNKNOWN", `${file} is no file of alerts of this version (format ${version}, expected ${FORMAT_VERSION})`, {
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

/** The operating error for what SQLite threw; what is no answer of SQLite comes back as it is. */
export function alertsFailure(file: string, verb: string, error: unknown): unknown {
  if (error instanceof OperatingError || !(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return error;
  const [code, next_step, is_retryable] = describe(error.errcode & 0xff);
  return new OperatingError(code, `Could not ${verb} the alerts in ${file}: ${messageOf(error)}`, { next_step, is_retryable, cause: error });
}

function describe(code: number): [code: string, next_step: string, is_retryable: boolean] {
  switch (code) {
    case BUSY:
    case LOCKED:
      return ["ALERTS_LOCKED", "Stop the other program that holds the file, then try again.", true];
    case FULL:
      return ["ALERTS_DISK_FULL", "Free disk space; alerts go on where they stood.", true];
    case READONLY:
      return ["ALERTS_READ_ONLY", "Give this user write access to the data folder.", false];
    case CORRUPT:
    case NOTADB:
      return ["ALERTS_CORRUPT", "Restore the file from a copy, or move it away with its -wal and -shm: rules, sinks and the list of alerts then begin anew.", false];
    default:
      return ["ALERTS_CANNOT_OPEN", "Check that the data folder exists, that this user may write to it, and the disk.", false];
  }
}
