import { DatabaseSync } from "node:sqlite";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatingError, messageOf } from "../errors.ts";
import { isBusy } from "../sqlite-file.ts";
import type { Lake } from "./lake.ts";

/**
 * One process writes a lake. The claim is SQLite's exclusive file lock, which the operating system drops when the process
 * ends, however it ends: a killed owner never leaves a lake locked. The text file beside it only says who holds it.
 * Throws LAKE_IN_USE, or LAKE_CANNOT_BE_CLAIMED where the folder does not let us.
 */
export function claimLake(lake: Lake, activity: string): { release(): void } {
  const owner_file = join(lake.folder, "owner.txt");
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(lake.folder, "owner.db"));
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    writeFileSync(owner_file, `coinlake ${activity} (process ${process.pid})\n`);
  } catch (error) {
    database?.close();
    throw isBusy(error) ? inUse(lake, owner_file, error) : cannotClaim(lake, error);
  }
  const claimed = database;
  return { release: () => claimed.close() };
}

/** Whether somebody is writing the lake now. */
export function isClaimed(lake: Lake): boolean {
  try {
    claimLake(lake, "verify").release();
    return false;
  } catch (error) {
    // Who may not write the folder cannot ask, and takes it for claimed.
    if (error instanceof OperatingError) return true;
    throw error;
  }
}

function inUse(lake: Lake, owner_file: string, cause: unknown): OperatingError {
  const owner = existsSync(owner_file) ? readFileSync(owner_file, "utf8").trim() : "another process";
  return new OperatingError("LAKE_IN_USE", `The lake "${lake.name}" is being written by ${owner}.`, {
    next_step: "Stop that one first, or use another folder with --data. Questions and queries work beside it.",
    is_retryable: true,
    cause,
  });
}

function cannotClaim(lake: Lake, cause: unknown): OperatingError {
  return new OperatingError("LAKE_CANNOT_BE_CLAIMED", `The lake's folder ${lake.folder} cannot be claimed for writing: ${messageOf(cause)}`, {
    next_step: "Check that you may write to it and that its disk has room; a damaged owner.db in it may be deleted.",
    cause,
  });
}
