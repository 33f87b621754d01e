import { lstatSync, readdirSync, type Dirent, type Stats } from "node:fs";
import { join } from "node:path";
import { backup, type DatabaseSync } from "node:sqlite";
import { OperatingError, messageOf } from "../base/errors.ts";
import { openReadOnly } from "../base/sqlite.ts";
import { PRODUCERS_FOLDER } from "../producer/folder.ts";

/** The files of a lake's folder, except its tables. */
export interface LakeFiles {
  /** SQLite databases in copy order: the catalog first, the log last. */
  databases: string[];
  /** Paths of other files, with forward slashes. */
  others: string[];
}

/** Files that are derived again when needed, or that describe running processes. */
const LEFT_OUT = new Set([
  "lake.json",
  "owner.db",
  "owner.txt",
  "warehouse",
  "dbt",
  "maintenance",
  PRODUCERS_FOLDER,
  "source",
  "unfinished.json",
]);
const LEFT_OUT_ENDINGS = /(?:-wal|-shm|-journal|\.tmp)$/;
const FIRST = "catalog.db";
const LAST = "log.db";
const BUSY_TIMEOUT_MS = 5_000;

/** Throws NOT_COPYABLE. */
export function filesOfLake(folder: string): LakeFiles {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(
    ({ name }) => !LEFT_OUT.has(name) && !LEFT_OUT_ENDINGS.test(name),
  );
  const databases = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".db")).map(({ name }) => name);
  const rank = (name: string): number => (name === FIRST ? 0 : name === LAST ? 2 : 1);
  const others = entries
    .filter(({ name }) => !databases.includes(name))
    .flatMap((entry) => filesOf(folder, entry.name, entry));
  return { databases: databases.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)), others: others.sort() };
}

/**
 * Paths of all files at and below `path`, relative to the folder, with forward slashes. Throws NOT_COPYABLE for special
 * files.
 */
export function filesAt(folder: string, path: string): string[] {
  return filesOf(folder, path, lstatSync(join(folder, path)));
}

function filesOf(folder: string, path: string, entry: Dirent | Stats): string[] {
  if (entry.isFile()) return [path];
  if (!entry.isDirectory()) throw notCopyable(join(folder, path), entry.isSymbolicLink());
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((below) =>
    filesOf(folder, `${path}/${below.name}`, below),
  );
}

function notCopyable(path: string, is_link: boolean): OperatingError {
  return new OperatingError(
    "NOT_COPYABLE",
    `Cannot copy ${path}: it is ${is_link ? "a symbolic link" : "neither a file nor a folder"}`,
    {
      next_step: is_link
        ? "Replace the link by its target or remove it, then try again."
        : "Remove it, then try again.",
    },
  );
}

/**
 * Copies a consistent state of a database while other processes write it. Copies all pages in one step, under one read
 * transaction: with several steps, SQLite would restart at every write of another process. Throws DATABASE_NOT_COPIED.
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  let source: DatabaseSync | undefined;
  try {
    source = openReadOnly(from, BUSY_TIMEOUT_MS);
    await backup(source, to, { rate: 0x7fff_ffff });
  } catch (error) {
    throw new OperatingError("DATABASE_NOT_COPIED", `Cannot copy ${from} to ${to}: ${messageOf(error)}`, {
      next_step: "Check the free disk space and the file's permissions; `verify` checks for damage.",
      cause: error,
    });
  } finally {
    source?.close();
  }
}
