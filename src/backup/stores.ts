import { lstatSync, readdirSync, type Dirent, type Stats } from "node:fs";
import { join } from "node:path";
import { backup, type DatabaseSync } from "node:sqlite";
import { OperatingError, messageOf } from "../base/errors.ts";
import { openReadOnly } from "../base/sqlite.ts";

/** The files of a lake's folder beside its tables. */
export interface LakeFiles {
  /** SQLite databases, in the order in which they are to be copied: the catalog first, the log last. */
  databases: string[];
  /** Paths of other files, with forward slashes. */
  others: string[];
}

/** Made again by what needs them, or only about processes that run. */
const LEFT_OUT = new Set([
  "lake.json",
  "owner.db",
  "owner.txt",
  "warehouse",
  "dbt",
  "maintenance",
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

/** Paths below the folder of all files at and below `path`, with forward slashes. Throws NOT_COPYABLE rather than leave something out. */
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
    `${path} is ${is_link ? "a symbolic link" : "neither a file nor a folder"}, and the copy of a lake would not hold it`,
    {
      next_step: is_link
        ? "Put what it leads to in its place, or remove it, then try again."
        : "Remove it, then try again.",
    },
  );
}

/**
 * A database as of one moment, beside processes that write it. All pages are copied in one step, under one read transaction: in steps,
 * SQLite would start over at every write of another process. Throws DATABASE_NOT_COPIED.
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  let source: DatabaseSync | undefined;
  try {
    source = openReadOnly(from, BUSY_TIMEOUT_MS);
    await backup(source, to, { rate: 0x7fff_ffff });
  } catch (error) {
    throw new OperatingError("DATABASE_NOT_COPIED", `${from} could not be copied to ${to}: ${messageOf(error)}`, {
      next_step: "Check that the disk has room and that the file is readable; `verify` looks for damage.",
      cause: error,
    });
  } finally {
    source?.close();
  }
}
