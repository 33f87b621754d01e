import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { OperatingError, messageOf } from "./errors.ts";

/** SQLite files that one room alone reads and writes: how they are laid out, and how people are told of them. */
export interface SqliteFormat {
  /** What the codes of its errors begin with: LOG. */
  prefix: string;
  /** Before the file's name in a sentence: "the log". */
  name: string;
  /** In the file's header: another program's database, or another version's, is refused and not rewritten. */
  application_id: number;
  version: number;
  tables: string;
  /** In place of what is said, or whether to try again, of any file. */
  failures: Partial<Record<Failure, Remedy>>;
}

type Failure = "LOCKED" | "DISK_FULL" | "READ_ONLY" | "CORRUPT" | "CANNOT_OPEN" | "IO_FAILED" | "FAILED";
type Remedy = readonly [next_step: string, is_retryable: boolean];

const REMEDIES: Record<Failure, Remedy> = {
  LOCKED: ["Stop the other program that holds the file, then try again.", true],
  DISK_FULL: ["Free disk space, then start again: what was committed before is kept.", false],
  READ_ONLY: ["Give this user write access to the data folder.", false],
  CORRUPT: ["Restore the file from a copy.", false],
  CANNOT_OPEN: ["Check that the data folder exists and that this user may write to it.", false],
  IO_FAILED: [
    "Check the disk, then start again; `npm run -s coinlake -- verify` tells whether the file is whole.",
    false,
  ],
  FAILED: ["Start again; if it stays, check the file with `sqlite3 FILE 'pragma integrity_check'`.", false],
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
/** The shared-memory file of the WAL could not grow: in practice, the disk is full. */
const IOERR_SHMSIZE = 4874;

/**
 * A WAL that a long transaction or a slow reader let grow is cut back to this by the next checkpoint that finds it
 * free; without a limit SQLite keeps it as large as it ever was.
 */
const WAL_KEPT_BYTES = 16 * 1024 * 1024;

/** Another process holds the lock for the time of one transaction, about a millisecond. */
export const BUSY_RETRY_MS = 5;

/**
 * Opens or makes the file, and its folder: WAL, and `synchronous=FULL`, so that a commit is on disk when it returns.
 * Throws <prefix>_CANNOT_OPEN, _CORRUPT, _FORMAT_UNKNOWN, _LOCKED, _READ_ONLY.
 */
export function openSqliteFile(
  file: string,
  format: SqliteFormat,
  options: { busy_timeout_ms: number; pragmas?: string },
): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    database = new DatabaseSync(file, { timeout: options.busy_timeout_ms });
    database.exec(
      `${options.pragmas ?? ""}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_KEPT_BYTES}`,
    );
    makeTables(database, file, format);
    // From here on waiting is done asynchronously: SQLite's own wait would block the event loop.
    database.exec("PRAGMA busy_timeout = 0");
    noteFile(file);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteFailure(file, format, "open", error);
  }
}

/** The names of the SQLite files that were made in a folder, one a line: one that is deleted is missed. */
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
 * Opens a file that must be there, and changes nothing of it. Throws as `openSqliteFile` does; <prefix>_FORMAT_UNKNOWN
 * where the file is empty too.
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
    if (present !== format.version) throw formatUnknown(file, format, present);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteFailure(file, format, "open", error);
  }
}

/**
 * Opens a database to read, and leaves its folder as it is. While a process has a WAL database open, its WAL exists.
 * Without one, SQLite creates `-wal` and `-shm`, and only a connection that may write removes them when it closes.
 * Where the file or its folder is not writable, no process of this user writes, and the file is read as immutable,
 * without these files. Throws what SQLite throws.
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
    if (!isWriteRefused(error)) throw error;
    url.searchParams.set("mode", "ro");
    url.searchParams.set("immutable", "1");
    return new DatabaseSync(url, { readOnly: true, timeout: busy_timeout_ms });
  }
}

function isWriteRefused(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && [READ_ONLY, CANNOT_OPEN].includes(code & 0xff);
}

/**
 * Whether SQLite says that the file's content is damaged, or is no database; not that it cannot be reached or is
 * locked.
 */
export function isSqliteDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && [CORRUPT, NOT_A_DATABASE].includes(code & 0xff);
}

/** Whether a failure to open or read a store is damage to its file; a locked file or a disk that fails is not. */
export function isStoreDamage(error: unknown): boolean {
  if (isSqliteDamage(error)) return true;
  if (!(error instanceof OperatingError)) return false;
  return /_(?:CORRUPT|FORMAT_UNKNOWN)$/.test(error.code) || isSqliteDamage(error.cause);
}

/** What SQLite finds wrong with the pages of an open database; empty where they are as they should be. */
export function damageIn(database: DatabaseSync): string[] {
  try {
    const rows = database.prepare("PRAGMA quick_check(3)").all();
    return rows.map((row) => String(Object.values(row)[0])).filter((text) => text !== "ok");
  } catch (error) {
    if (!isSqliteDamage(error)) throw error;
    return [messageOf(error)];
  }
}

function formatUnknown(file: string, { prefix, version }: SqliteFormat, present: number): OperatingError {
  const known = `has format ${present}, and this version knows format ${version}`;
  const what = present === -1 ? "is another program's database" : present === 0 ? "is empty" : known;
  return new OperatingError(`${prefix}_FORMAT_UNKNOWN`, `${file} ${what}`, {
    next_step: "Use the version of the program that wrote it, or another data folder.",
  });
}

function makeTables(database: DatabaseSync, file: string, format: SqliteFormat): void {
  const { application_id, version, tables } = format;
  if (readVersion(database, application_id) === version) return;
  transact(database, () => {
    const present = readVersion(database, application_id);
    if (present === 0)
      database.exec(`${tables} PRAGMA application_id = ${application_id}; PRAGMA user_version = ${version}`);
    else if (present !== version) throw formatUnknown(file, format, present);
  });
}

/** 0 for an empty file; -1 for somebody else's database. */
function readVersion(database: DatabaseSync, application_id: number): number {
  const read = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  const version = read("PRAGMA user_version");
  if (read("PRAGMA application_id") === application_id) return version;
  return version === 0 && read("SELECT count(*) FROM sqlite_schema") === 0 ? 0 : -1;
}

/**
 * `work` runs without a pause inside one write transaction: all of it or nothing. Throws busy when somebody else
 * writes.
 */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } finally {
    // SQLite rolls some failures back by itself.
    if (database.isTransaction) database.exec("ROLLBACK");
  }
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED);
}

/**
 * The operating error for what SQLite or the disk said; what is neither is a programmer's error and comes back as it
 * is.
 */
export function sqliteFailure(
  file: string,
  { prefix, name, failures }: SqliteFormat,
  verb: string,
  error: unknown,
): unknown {
  const failure = failureOf(error);
  if (failure === null || error instanceof OperatingError) return error;
  const [next_step, is_retryable] = failures[failure] ?? REMEDIES[failure];
  return new OperatingError(`${prefix}_${failure}`, `Could not ${verb} ${name} ${file}: ${messageOf(error)}`, {
    next_step,
    is_retryable,
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
