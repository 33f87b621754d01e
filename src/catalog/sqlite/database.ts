import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatingError, UnknownOutcome, messageOf } from "../../base/errors.ts";
import { openReadOnly } from "../../base/sqlite.ts";

/**
 * Waiting blocks this process's only thread, so it is bounded; write transactions here take about a millisecond, and only a
 * machine in trouble makes one last this long.
 */
const BUSY_TIMEOUT_MS = 5_000;
/** What stays of the write-ahead log once its pages are in the database: a commit writes a few kB. */
const WAL_KEPT_BYTES = 4 * 1024 * 1024;
const LAYOUT_VERSION = 1;

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
  pragma user_version = ${LAYOUT_VERSION};
`;

/** SQLite's primary result codes, https://www.sqlite.org/rescode.html */
const BUSY = 5;
const CORRUPT = 11;
const FULL = 13;
const NOTADB = 26;

export interface DatabaseOptions {
  /** The file must be there, and nothing of it is changed. */
  is_read_only?: boolean;
  busy_timeout_ms?: number;
}

/** Opens or creates the file. Several processes may have it open: writers queue, readers never wait (WAL). */
export function openDatabase(
  path: string,
  { is_read_only = false, busy_timeout_ms = BUSY_TIMEOUT_MS }: DatabaseOptions = {},
): DatabaseSync {
  let database: DatabaseSync | null = null;
  try {
    if (is_read_only) {
      database = openReadOnly(path, busy_timeout_ms);
    } else {
      mkdirSync(dirname(path), { recursive: true });
      database = new DatabaseSync(path, { timeout: busy_timeout_ms, enableForeignKeyConstraints: true });
      // FULL: a commit is on disk when it returns, in WAL mode too.
      database.exec(
        `pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${WAL_KEPT_BYTES}`,
      );
      createLayout(database);
    }
    checkLayout(database, path);
    return database;
  } catch (error) {
    database?.close();
    throw storeFailure(`Could not open the catalog ${path}`, error);
  }
}

function createLayout(database: DatabaseSync): void {
  if (versionOf(database) !== 0) return;
  transact(database, () => {
    if (versionOf(database) === 0) database.exec(LAYOUT);
  });
}

function checkLayout(database: DatabaseSync, path: string): void {
  const version = versionOf(database);
  if (version !== LAYOUT_VERSION) {
    throw new OperatingError(
      "CATALOG_FORMAT_UNKNOWN",
      `The catalog ${path} has layout ${version}; this program knows layout ${LAYOUT_VERSION}`,
      {
        next_step: "Use the version of the program that wrote it, or a newer one.",
      },
    );
  }
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("pragma user_version").get()?.["user_version"]);
}

/**
 * Runs `work` in a write transaction. What it throws is thrown after the rollback: nothing changed. A COMMIT that fails in
 * another way than for want of a lock or of space may yet be found in the log by whoever recovers it: UnknownOutcome.
 */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec("begin immediate");
  } catch (error) {
    throw storeFailure("Could not start a catalog transaction", error);
  }
  let result: T;
  try {
    result = work();
  } catch (error) {
    rollBack(database);
    throw storeFailure("A catalog transaction failed", error);
  }
  try {
    database.exec("commit");
  } catch (error) {
    rollBack(database);
    if ([BUSY, FULL].includes(resultCodeOf(error) ?? 0))
      throw storeFailure("A catalog transaction could not be committed", error);
    throw new UnknownOutcome(`A catalog transaction ended without an answer: ${messageOf(error)}`, error);
  }
  return result;
}

/** SQLite rolls some failures back by itself. */
function rollBack(database: DatabaseSync): void {
  if (database.isTransaction) database.exec("rollback");
}

/** Reads need no transaction: each is one statement. */
export function read<T>(query: () => T): T {
  try {
    return query();
  } catch (error) {
    throw storeFailure("Could not read the catalog", error);
  }
}

function resultCodeOf(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode & 0xff
    : null;
}

/** Errors of SQLite and of the disk become OperatingErrors; a programmer's error stays what it is. */
function storeFailure(what: string, error: unknown): unknown {
  const code = resultCodeOf(error);
  const is_system_error = error instanceof Error && "code" in error && "syscall" in error;
  if (error instanceof OperatingError || (code === null && !is_system_error)) return error;
  if (code === BUSY) {
    return new OperatingError(
      "STORE_BUSY",
      `${what}: another process has held the catalog for longer than the busy timeout`,
      {
        next_step: "Try again; if it lasts, look for a stuck process that has the catalog file open.",
        cause: error,
      },
    );
  }
  return new OperatingError("STORE_FAILED", `${what}: ${messageOf(error)}`, {
    next_step:
      code === CORRUPT || code === NOTADB
        ? "Restore the catalog's file from a copy."
        : "Check the disk and the permissions of the data folder, then try again.",
    is_retryable: code === FULL,
    cause: error,
  });
}
