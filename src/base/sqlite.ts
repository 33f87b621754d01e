import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import type { StoreFailure, StorePrefix } from "./store-errors.ts";
import { makeFolderDurably } from "./durable-file.ts";
import { OperatingError, messageOf } from "./errors.ts";

/** The layout of a SQLite file of this program, and the texts of its errors. */
export interface SqliteFormat {
  /** Prefix of its error codes. */
  prefix: StorePrefix;
  /** Precedes the file's name in messages: "the log". */
  name: string;
  /**
   * Id in the file's header, by which databases of other programs are rejected and not rewritten. 0 for a format
   * without one.
   */
  application_id: number;
  /**
   * Migrations by version: the N-th upgrades version N - 1 to N, and the first creates the tables. Published ones never
   * change.
   */
  migrations: readonly string[];
  /** Next steps that differ from those of other files. */
  failures: Partial<Record<Failure, string>>;
}

type Failure = Exclude<StoreFailure, "FORMAT_UNKNOWN" | "FORMAT_OUTDATED">;

const NEXT_STEPS: Record<Failure, string> = {
  LOCKED: "Stop the other program that holds the file, then try again.",
  DISK_FULL: "Free disk space, then start again: what was committed before is kept.",
  READ_ONLY: "Give this user write access to the data folder.",
  CORRUPT: "Restore the file from a copy.",
  CANNOT_OPEN: "Check that the data folder exists and that this user may write to it.",
  IO_FAILED: "Check the disk, then start again; `npm run -s coinlake -- verify` tells whether the file is whole.",
  FAILED: "Start again; if it stays, check the file with `sqlite3 FILE 'pragma integrity_check'`.",
};

/** Primary result codes of SQLite (sqlite.org/rescode.html); the low byte of the extended code that Node reports. */
const BUSY = 5;
const LOCKED = 6;
const READ_ONLY = 8;
const CORRUPT = 11;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;
const FAILURES: ReadonlyMap<number, Failure> = new Map([
  [BUSY, "LOCKED"],
  [LOCKED, "LOCKED"],
  [READ_ONLY, "READ_ONLY"],
  [10, "IO_FAILED"],
  [CORRUPT, "CORRUPT"],
  [13, "DISK_FULL"],
  [CANNOT_OPEN, "CANNOT_OPEN"],
  [NOT_A_DATABASE, "CORRUPT"],
]);
/** SQLite could not enlarge the shared-memory file of the WAL: in practice, the disk is full. */
const IOERR_SHMSIZE = 4874;

/** A WAL that grew is truncated to this size by the next checkpoint; without a limit SQLite never shrinks it. */
const WAL_KEPT_BYTES = 16 * 1024 * 1024;

/** Retry interval while another process holds the lock, which lasts for one transaction, about a millisecond. */
export const BUSY_RETRY_MS = 5;

export interface OpenOptions {
  busy_timeout_ms: number;
  pragmas?: string;
  /**
   * Whether later calls block for `busy_timeout_ms` too. Without it they fail at once, and the caller waits
   * asynchronously.
   */
  is_blocking?: boolean;
  /** Whether `verify` reports the file as missing once it has been created; true by default. */
  is_noted?: boolean;
}

/**
 * Opens or creates the file and its folder, in WAL mode with `synchronous=FULL`: a commit is on disk when it returns.
 * Copies a file of an older version to FILE.vN, then upgrades it. Throws <prefix>_CANNOT_OPEN, _CORRUPT,
 * _FORMAT_UNKNOWN, _LOCKED, _READ_ONLY.
 */
export function openSqliteFile(file: string, format: SqliteFormat, options: OpenOptions): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    // SQLite syncs the folder of a file that it creates, and not the folders above.
    if (!existsSync(file)) makeFolderDurably(dirname(file));
    database = new DatabaseSync(file, { timeout: options.busy_timeout_ms });
    database.exec(`PRAGMA journal_size_limit = ${WAL_KEPT_BYTES}; ${options.pragmas ?? ""}`);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    migrate(database, file, format);
    checkTables(database, file, format);
    if (options.is_blocking !== true) database.exec("PRAGMA busy_timeout = 0");
    if (options.is_noted !== false) noteFile(file);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteFailure(file, format, "open", error);
  }
}

/**
 * File with the names of the SQLite files created in a folder, one on each line. By this list `verify` detects a
 * deleted one.
 */
const STORES_FILE = "stores.txt";

export function notedFiles(folder: string): string[] {
  const list = join(folder, STORES_FILE);
  return existsSync(list) ? readFileSync(list, "utf8").split("\n").filter(Boolean) : [];
}

function noteFile(file: string): void {
  if (notedFiles(dirname(file)).includes(basename(file))) return;
  appendFileSync(join(dirname(file), STORES_FILE), `${basename(file)}\n`);
}

/**
 * Opens an existing file for reading. Throws as `openSqliteFile` does, <prefix>_FORMAT_UNKNOWN for an empty file, and
 * <prefix>_FORMAT_OUTDATED for one of an older version.
 */
export function openSqliteFileToRead(
  file: string,
  format: SqliteFormat,
  { busy_timeout_ms }: { busy_timeout_ms: number },
): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = openReadOnly(file, busy_timeout_ms);
    const present = readVersion(database, format.application_id);
    if (present !== format.migrations.length) throw wrongFormat(file, format, present);
    checkTables(database, file, format);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteFailure(file, format, "open", error);
  }
}

/**
 * Opens a database for reading without changing its folder. While a process has a WAL database open, its WAL exists.
 * Without one, SQLite creates `-wal` and `-shm`, and only a connection that may write removes them when it closes.
 * Where the file or its folder is not writable, no process of this user writes, and the file is read as immutable,
 * without these files. Throws SQLite's errors.
 */
export function openReadOnly(file: string, busy_timeout_ms: number): DatabaseSync {
  if (existsSync(`${file}-wal`)) return new DatabaseSync(file, { readOnly: true, timeout: busy_timeout_ms });
  const url = pathToFileURL(file);
  url.searchParams.set("mode", "rw");
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(url, { timeout: busy_timeout_ms });
    // The first read opens the WAL.
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return database;
  } catch (error) {
    database?.close();
    if (!isNotWritable(error)) throw error;
    url.searchParams.set("mode", "ro");
    url.searchParams.set("immutable", "1");
    return new DatabaseSync(url, { readOnly: true, timeout: busy_timeout_ms });
  }
}

function isNotWritable(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && [READ_ONLY, CANNOT_OPEN].includes(code & 0xff);
}

/** Whether SQLite reports that the file's content is damaged or not a database, rather than locked or unreachable. */
export function isSqliteDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && [CORRUPT, NOT_A_DATABASE].includes(code & 0xff);
}

/** Whether a failure to open or read a store is damage to its file, rather than a lock or a disk error. */
export function isStoreDamage(error: unknown): boolean {
  if (isSqliteDamage(error)) return true;
  if (!(error instanceof OperatingError)) return false;
  return /_(?:CORRUPT|FORMAT_UNKNOWN)$/.test(error.code) || isSqliteDamage(error.cause);
}

/** SQLite's findings about the pages of an open database; empty without damage. */
export function damageIn(database: DatabaseSync): string[] {
  try {
    const rows = database.prepare("PRAGMA quick_check(3)").all();
    return rows.map((row) => String(Object.values(row)[0])).filter((text) => text !== "ok");
  } catch (error) {
    if (!isSqliteDamage(error)) throw error;
    return [messageOf(error)];
  }
}

function wrongFormat(file: string, { prefix, migrations }: SqliteFormat, present: number): OperatingError {
  const known = `has format ${present}, and this version knows format ${migrations.length}`;
  if (present > 0 && present < migrations.length) {
    return new OperatingError(`${prefix}_FORMAT_OUTDATED`, `${file} ${known}`, {
      next_step: "Start the pipeline once: it upgrades the file, after a copy of it.",
    });
  }
  const what = present === -1 ? "is another program's database" : present === 0 ? "is empty" : known;
  return new OperatingError(`${prefix}_FORMAT_UNKNOWN`, `${file} ${what}`, {
    next_step: "Use the version of the program that wrote it, or another data folder.",
  });
}

const expected_tables = new WeakMap<SqliteFormat, ReadonlySet<string>>();

/** Throws <prefix>_CORRUPT where a table is missing: SQLite itself takes such a file for whole. */
function checkTables(database: DatabaseSync, file: string, format: SqliteFormat): void {
  const expected = expected_tables.get(format) ?? tablesOf(format);
  expected_tables.set(format, expected);
  const present = tablesIn(database);
  const missing = [...expected].filter((name) => !present.has(name));
  if (missing.length === 0) return;
  const names = missing.join(", ");
  throw new OperatingError(`${format.prefix}_CORRUPT`, `${file} lacks the table ${names}: another program changed it`, {
    next_step: format.failures.CORRUPT ?? NEXT_STEPS.CORRUPT,
  });
}

function tablesOf({ migrations }: SqliteFormat): ReadonlySet<string> {
  const empty = new DatabaseSync(":memory:");
  try {
    for (const sql of migrations) empty.exec(sql);
    return tablesIn(empty);
  } finally {
    empty.close();
  }
}

function tablesIn(database: DatabaseSync): Set<string> {
  const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  return new Set(rows.map(({ name }) => String(name)));
}

/** Runs the missing migrations in one transaction. */
function migrate(database: DatabaseSync, file: string, format: SqliteFormat): void {
  const { application_id, migrations } = format;
  const found = readVersion(database, application_id);
  if (found === migrations.length) return;
  if (found > 0 && found < migrations.length) copyBeforeUpgrade(database, file, found);
  transact(database, () => {
    // Another process may have upgraded the file meanwhile.
    const present = readVersion(database, application_id);
    if (present === migrations.length) return;
    if (present < 0 || present > migrations.length) throw wrongFormat(file, format, present);
    for (const sql of migrations.slice(present)) database.exec(sql);
    database.exec(`PRAGMA application_id = ${application_id}; PRAGMA user_version = ${migrations.length}`);
  });
}

/**
 * Writes the copy beside the file, as FILE.vN. A copy under this name is complete and on disk. An earlier copy of the
 * same version stays.
 */
function copyBeforeUpgrade(database: DatabaseSync, file: string, version: number): void {
  const copy = `${file}.v${version}`;
  if (existsSync(copy)) return;
  const unfinished = `${copy}.${process.pid}`;
  rmSync(unfinished, { force: true });
  database.prepare("VACUUM INTO ?").run(unfinished);
  const descriptor = openSync(unfinished, "r+");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(unfinished, copy);
}

/** 0 for an empty file, -1 for a database of another program. */
function readVersion(database: DatabaseSync, application_id: number): number {
  const read = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  const version = read("PRAGMA user_version");
  if (version === 0 && read("SELECT count(*) FROM sqlite_schema") === 0) return 0;
  return version > 0 && read("PRAGMA application_id") === application_id ? version : -1;
}

/** Runs `work` synchronously inside one write transaction. Throws SQLite's busy error while another process writes. */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } finally {
    // SQLite has already rolled back after some failures.
    if (database.isTransaction) database.exec("ROLLBACK");
  }
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED);
}

/**
 * Maps a failure of SQLite or the disk to an operating error; returns other errors, which are programming errors,
 * unchanged.
 */
export function sqliteFailure(
  file: string,
  { prefix, name, failures }: SqliteFormat,
  verb: string,
  error: unknown,
): unknown {
  const failure = failureOf(error);
  if (failure === null || error instanceof OperatingError) return error;
  return new OperatingError(`${prefix}_${failure}`, `Could not ${verb} ${name} ${file}: ${messageOf(error)}`, {
    next_step: failures[failure] ?? NEXT_STEPS[failure],
    cause: error,
  });
}

function failureOf(error: unknown): Failure | null {
  const code = sqliteCode(error);
  if (code === IOERR_SHMSIZE) return "DISK_FULL";
  if (code !== null) return FAILURES.get(code & 0xff) ?? "FAILED";
  return error instanceof Error && "syscall" in error ? "CANNOT_OPEN" : null;
}

function sqliteCode(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : null;
}
