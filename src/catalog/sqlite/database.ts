import type { DatabaseSync } from "node:sqlite";
import { UnknownOutcome, messageOf } from "../../base/errors.ts";
import { openSqliteFile, openSqliteFileToRead, sqliteFailure, type SqliteFormat } from "../../base/sqlite.ts";

/**
 * Limit on waiting for a lock, because it blocks this process's only thread. Write transactions take about a
 * millisecond, so only an overloaded machine reaches the limit.
 */
const BUSY_TIMEOUT_MS = 5_000;
/** Size of the write-ahead log after a checkpoint; a commit writes a few kB. */
const WAL_KEPT_BYTES = 4 * 1024 * 1024;
const LAYOUT = `
  create table namespaces (
    name text primary key,
    properties text not null
  ) strict, without rowid;
  create table tables (
    namespace text not null references namespaces (name),
    name text not null,
    metadata_location text not null,
    primary key (namespace, name)
  ) strict, without rowid;
`;

export const CATALOG_FORMAT: SqliteFormat = {
  prefix: "CATALOG",
  name: "the catalog",
  application_id: 0,
  migrations: [LAYOUT],
  failures: {
    LOCKED: "Try again; if it lasts, look for a stuck process that has the catalog file open.",
    CORRUPT: "Restore the catalog's file from a copy.",
  },
};

/** SQLite's primary result codes after which a COMMIT has changed nothing, https://www.sqlite.org/rescode.html */
const BUSY = 5;
const FULL = 13;

export interface DatabaseOptions {
  /** The file must exist, and is not changed. */
  is_read_only?: boolean;
  busy_timeout_ms?: number;
}

/** Opens or creates the file. Several processes may have it open: writers queue, readers never wait (WAL). */
export function openDatabase(
  path: string,
  { is_read_only = false, busy_timeout_ms = BUSY_TIMEOUT_MS }: DatabaseOptions = {},
): DatabaseSync {
  if (is_read_only) return openSqliteFileToRead(path, CATALOG_FORMAT, { busy_timeout_ms });
  const pragmas = `PRAGMA journal_size_limit = ${WAL_KEPT_BYTES}`;
  return openSqliteFile(path, CATALOG_FORMAT, { busy_timeout_ms, pragmas, is_blocking: true, is_noted: false });
}

/**
 * Runs `work` in a write transaction. Errors of `work` are thrown after the rollback, so nothing changed. If a COMMIT
 * fails for another reason than a lock or disk space, recovery may still find it in the log: UnknownOutcome.
 */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec("begin immediate");
  } catch (error) {
    throw failure(database, "start a transaction in", error);
  }
  let result: T;
  try {
    result = work();
  } catch (error) {
    rollBack(database);
    throw failure(database, "write", error);
  }
  try {
    database.exec("commit");
  } catch (error) {
    rollBack(database);
    if ([BUSY, FULL].includes(resultCodeOf(error) ?? 0)) throw failure(database, "commit to", error);
    throw new UnknownOutcome(`A catalog transaction ended without an answer: ${messageOf(error)}`, error);
  }
  return result;
}

/** SQLite rolls back by itself after some failures. */
function rollBack(database: DatabaseSync): void {
  if (database.isTransaction) database.exec("rollback");
}

/** Reads need no transaction: each is one statement. */
export function read<T>(database: DatabaseSync, query: () => T): T {
  try {
    return query();
  } catch (error) {
    throw failure(database, "read", error);
  }
}

function resultCodeOf(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode & 0xff
    : null;
}

function failure(database: DatabaseSync, verb: string, error: unknown): unknown {
  return sqliteFailure(database.location() ?? "in memory", CATALOG_FORMAT, verb, error);
}
