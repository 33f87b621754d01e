import { DatabaseSync } from "node:sqlite";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatingError, messageOf } from "../base/errors.ts";
import { isBusy } from "../base/sqlite.ts";
import { ensureIdentity, type Lake } from "./lake.ts";
import { makeFolder } from "../base/folder.ts";

const OWNER_DB = "owner.db";
const OWNER_FILE = "owner.txt";

/**
 * Claims the lake for its one writer. Throws LAKE_IN_USE, or LAKE_CANNOT_BE_CLAIMED for file system errors.
 */
export function claimLake(lake: Lake, activity: string): { release(): void } {
  try {
    const claim = claimFolder(lake.folder, activity);
    if (claim !== null) return withIdentity(lake, claim);
  } catch (error) {
    throw cannotClaim(lake, error);
  }
  throw inUse(lake);
}

function withIdentity(lake: Lake, claim: { release(): void }): { release(): void } {
  try {
    ensureIdentity(lake);
    return claim;
  } catch (error) {
    claim.release();
    throw error;
  }
}

/** Claims the source of a lake in a cluster: one process per machine produces. Throws SOURCE_IN_USE. */
export function claimSource(lake: Lake, activity: string): { release(): void } {
  const folder = join(lake.folder, "source");
  makeFolder(folder);
  const claim = claimFolder(folder, activity);
  if (claim !== null) return claim;
  throw new OperatingError(
    "SOURCE_IN_USE",
    `Another process reads the source of the lake "${lake.name}": ${ownerOf(folder)}`,
    {
      next_step:
        "Stop that process first, or run the rest of the pipeline with `start --profile cluster --no-produce`.",
    },
  );
}

/**
 * Makes this process the folder's only owner; null if another process owns it. The claim is SQLite's exclusive file
 * lock, which the operating system releases when the process ends, so a killed owner leaves no lock. The text file
 * beside it only names the owner.
 */
export function claimFolder(folder: string, activity: string): { release(): void } | null {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, OWNER_DB));
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    writeFileSync(join(folder, OWNER_FILE), `coinlake ${activity} (process ${process.pid})\n`);
  } catch (error) {
    database?.close();
    if (isBusy(error)) return null;
    throw error;
  }
  const claimed = database;
  return { release: () => claimed.close() };
}

/** Description of the last owner. */
export function ownerOf(folder: string): string {
  const file = join(folder, OWNER_FILE);
  return existsSync(file) ? readFileSync(file, "utf8").trim() : "another process";
}

/** Whether a process owns the lake now. Creates nothing and does not disturb the owner. */
export function isOwned(lake: Lake): boolean {
  const file = join(lake.folder, OWNER_DB);
  if (!existsSync(file)) return false;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw cannotClaim(lake, error);
  } finally {
    database?.close();
  }
}

/** LAKE_IN_USE, with the owner's name. */
export function inUse(
  lake: Lake,
  next_step = "Stop that process first, or use another folder with --data. `ask` and `query` work while it runs.",
): OperatingError {
  return new OperatingError("LAKE_IN_USE", `The lake "${lake.name}" is in use by ${ownerOf(lake.folder)}`, {
    next_step,
  });
}

function cannotClaim(lake: Lake, cause: unknown): OperatingError {
  return new OperatingError(
    "LAKE_CANNOT_BE_CLAIMED",
    `Cannot claim the lake's folder ${lake.folder}: ${messageOf(cause)}`,
    {
      next_step: "Check its permissions and the free disk space; a damaged owner.db in it may be deleted.",
      cause,
    },
  );
}
