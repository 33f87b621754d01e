import { OperatingError } from "./errors.ts";

/** SQLite's codes: the database or its disk is full; the shared-memory file of the WAL cannot grow. */
const SQLITE_FULL = 13;
const SQLITE_IOERR_SHMSIZE = 4874;
const OWN_CODE = /(?:^|_)(?:DISK|STORAGE)_FULL$/;
const SYSTEM_CODES = new Set(["ENOSPC", "EDQUOT"]);
/** DuckDB, dbt and Python report a full disk in their message only. */
const IN_WORDS = /no space left on device|disk quota exceeded|database or disk is full/i;

/**
 * Whether a failure, or its cause, is a full disk. Such a failure is retried without limit: only a person can free
 * space, and an exit would lose the data that sources hold in memory. SQLite, the file system and the engines each
 * report it in a different way.
 */
export function isDiskFull(thrown: unknown): boolean {
  return thrown instanceof OperatingError && isCausedByFullDisk(thrown);
}

/** Whether an error code of the system or of Coinlake means a full disk. */
export function isDiskFullCode(code: string): boolean {
  return SYSTEM_CODES.has(code) || OWN_CODE.test(code);
}

/** Whether an engine's message means a full disk. */
export function isDiskFullMessage(message: string): boolean {
  return IN_WORDS.test(message);
}

function isCausedByFullDisk(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const { code, errcode } = thrown as { code?: unknown; errcode?: unknown };
  if (typeof code === "string" && isDiskFullCode(code)) return true;
  if (typeof errcode === "number" && ((errcode & 0xff) === SQLITE_FULL || errcode === SQLITE_IOERR_SHMSIZE))
    return true;
  return isDiskFullMessage(thrown.message) || isCausedByFullDisk(thrown.cause);
}
