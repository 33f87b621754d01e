import { DatabaseSync } from "node:sqlite";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../errors.ts";
import type { Lake } from "./lake.ts";

/**
 * One process writes a lake. The claim is SQLite's exclusive file lock, which the operating system drops when the process
 * ends, however it ends: a killed owner never leaves a lake locked. The text file beside it only says who holds it.
 */
export function claimLake(lake: Lake, activity: string): { release(): void } {
  const database = new DatabaseSync(join(lake.folder, "owner.db"));
  const owner_file = join(lake.folder, "owner.txt");
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    const owner = existsSync(owner_file) ? readFileSync(owner_file, "utf8").trim() : "another process";
    throw new OperatingError("LAKE_IN_USE", `The lake "${lake.name}" is being written by ${owner}.`, {
      next_step: "Stop that one first, or use another folder with --data. Questions and queries work beside it.",
      is_retryable: true,
      cause: error,
    });
  }
  writeFileSync(owner_file, `coinlake ${activity} (process ${process.pid})\n`);
  return { release: () => database.close() };
}
