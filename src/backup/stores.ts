import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { OperatingError, messageOf } from "../errors.ts";

/** The files of a lake's folder beside its tables. */
export interface LakeFiles {
  /** SQLite databases, in the order in which they are to be copied: the catalog first, the log last. */
  databases: string[];
  /** Paths of other files, with forward slashes. */
  others: string[];
}

/** Made again by what needs them, or only about processes that run. */
const LEFT_OUT = new Set(["lake.json", "owner.db", "owner.txt", "warehouse", "dbt", "maintenance", "source", "unfinished.json"]);
const LEFT_OUT_ENDINGS = /(?:-wal|-shm|-journal|\.tmp)$/;
const FIRST = "catalog.db";
const LAST = "log.db";

export function filesOfLake(folder: string): LakeFiles {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !LEFT_OUT.has(name) && !LEFT_OUT_ENDINGS.test(name));
  const databases = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".db")).map(({ name }) => name);
  const rank = (name: string): number => (name === FIRST ? 0 : name === LAST ? 2 : 1);
  const others = entries.filter(({ name }) => !databases.includes(name)).flatMap((entry) => (entry.isDirectory() ? below(folder, entry.name) : entry.isFile() ? [entry.name] : []));
  return { databases: databases.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)), others: others.sort() };
}

function below(folder: string, path: string): string[] {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
    const name = `${path}/${entry.name}`;
    return entry.isDirectory() ? below(folder, name) : entry.isFile() ? [name] : [];
  });
}

/**
 * A database as of one moment, beside processes that write it. All pages are copied in one step, under one read transaction: in steps,
 * SQLite would start over at every write of another process. Throws DATABASE_NOT_COPIED.
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  let source: DatabaseSync | undefined;
  try {
    source = openForCopy(from);
    await backup(source, to, { rate: 0x7fff_ffff });
  } catch (error) {
    throw new OperatingError("DATABASE_NOT_COPIED", `${from} could not be copied to ${to}: ${messageOf(error)}`, {
      next_step: "Check that the disk has room and that the file is readable; `verify` looks for damage.",
      is_retryable: true,
      cause: error,
    });
  } finally {
    source?.close();
  }
}

/**
 * Leaves the folder as it was. Of a database that a process has open the files beside it exist; of one that nobody has open they are
 * removed again when this connection, which may write, is closed; where it may not, nobody can write, and no files are needed.
 */
function openForCopy(file: string): DatabaseSync {
  if (existsSync(`${file}-wal`)) return new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  const url = pathToFileURL(file);
  url.searchParams.set("mode", "rw");
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(url, { timeout: 5_000 });
    database.prepare("select count(*) from sqlite_schema").get();
    return database;
  } catch {
    database?.close();
    url.searchParams.set("mode", "ro");
    url.searchParams.set("immutable", "1");
    return new DatabaseSync(url, { readOnly: true });
  }
}
