import { OperatingError, messageOf } from "../../errors.ts";

/** Primary result codes of SQLite (sqlite.org/rescode.html); the low byte of the extended code that Node reports. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
/** The shared-memory file of the WAL could not grow: in practice, the disk is full. */
const IOERR_SHMSIZE = 4874;

function sqliteCode(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : null;
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED);
}

/** The operating error for what SQLite threw; what is no answer of SQLite is a programmer's error and comes back as it is. */
export function logFailure(file: string, verb: string, error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === null || error instanceof OperatingError) return error;
  const [stable, next_step, is_retryable] = describe(code);
  return new OperatingError(stable, `Could not ${verb} the log ${file}: ${messageOf(error)}`, { next_step, is_retryable, cause: error });
}

function describe(code: number): [code: string, next_step: string, is_retryable: boolean] {
  if (code === IOERR_SHMSIZE) return ["LOG_DISK_FULL", "Free disk space, then start again; nothing acknowledged is lost.", false];
  switch (code & 0xff) {
    case BUSY:
    case LOCKED:
      return ["LOG_LOCKED", "Stop the other program that holds the log's file, then try again.", true];
    case FULL:
      return ["LOG_DISK_FULL", "Free disk space, then start again; nothing acknowledged is lost.", false];
    case READONLY:
      return ["LOG_READ_ONLY", "Give this user write access to the data folder.", false];
    case CORRUPT:
    case NOTADB:
      return ["LOG_CORRUPT", "Restore the log's file from a copy; bronze holds every record up to its committed offsets.", false];
    case CANTOPEN:
      return ["LOG_CANNOT_OPEN", "Check that the data folder exists and that this user may write to it.", false];
    case IOERR:
      return ["LOG_IO_FAILED", "Check the disk, then start again; nothing acknowledged is lost.", false];
    default:
      return ["LOG_FAILED", "Start again; if it stays, check the log's file with `sqlite3 FILE 'pragma integrity_check'`.", false];
  }
}
