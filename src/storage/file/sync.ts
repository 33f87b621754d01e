import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { allEnded } from "../../base/all-ended.ts";
import { isUnreadableFolder } from "../../base/durable-file.ts";

/** Windows cannot open a folder to fsync it; NTFS journals the entry itself. */
const CAN_SYNC_FOLDERS = process.platform !== "win32";
/**
 * Windows flushes only files open for writing. Elsewhere reading suffices, and O_NONBLOCK keeps a pipe from blocking
 * the open.
 */
const SYNC_FLAGS = process.platform === "win32" ? constants.O_RDWR : constants.O_RDONLY | constants.O_NONBLOCK;
/** Limit on open files; the thread pool has fewer threads anyway. */
const MAX_OPEN_FILES = 32;
/** Limit on remembered paths. Evicting the oldest costs only a second fsync. */
const MAX_KNOWN_PATHS = 20_000;

/** Throws file system errors; ENOENT if the file does not exist. Skips anything but regular files and returns false. */
export async function syncFile(path: string): Promise<boolean> {
  const file = await open(path, SYNC_FLAGS);
  try {
    const is_file = (await file.stat()).isFile();
    if (is_file) await file.datasync();
    return is_file;
  } finally {
    await file.close();
  }
}

/** Like `syncFolder` in durable-file.ts, without blocking the process. */
async function syncFolder(path: string): Promise<boolean> {
  if (!CAN_SYNC_FOLDERS) return true;
  const folder = await open(path, "r").catch((error: unknown) => {
    if (isUnreadableFolder(error)) return null;
    throw error;
  });
  try {
    await folder?.sync();
  } finally {
    await folder?.close();
  }
  return true;
}

/**
 * The files and folders that this process knows to be durable. Files are immutable once written. Folders are known by
 * the identity that they had when their entry in the parent folder was synced.
 */
export class KnownDurable {
  readonly #files = new Set<string>();
  readonly #folders = new Map<string, string>();

  hasFile(path: string): boolean {
    return this.#files.has(path);
  }

  addFile(path: string): void {
    this.#files.add(path);
    forgetOldest(this.#files, MAX_KNOWN_PATHS);
  }

  forgetFile(path: string): void {
    this.#files.delete(path);
  }

  /**
   * Makes files of other programs durable, with their folder entries. Skips files that do not exist. Syncs files and
   * folders in parallel, because nothing is published in between.
   */
  async syncFiles(paths: Iterable<string>): Promise<void> {
    const files = [...new Set(paths)].filter((path) => !this.#files.has(path));
    if (files.length === 0) return;
    const synced: string[] = [];
    await Promise.all([
      eachOf(files, async (path) => {
        if (await unlessMissing(syncFile(path))) synced.push(path);
      }),
      this.syncFolders(files.map((path) => dirname(path))),
    ]);
    for (const path of synced) this.addFile(path);
  }

  /**
   * Makes the entries in the folders durable, and the folders' entries in their parents. An existing folder may not be
   * durable, because its creator may have been killed before the sync, so this process syncs each folder once.
   */
  async syncFolders(paths: Iterable<string>): Promise<void> {
    const { folders, identities } = await this.#withNewParents(new Set(paths));
    await eachOf([...folders], async (path) => void (await unlessMissing(syncFolder(path))));
    for (const [path, identity] of identities) this.#folders.set(path, identity);
    forgetOldest(this.#folders, MAX_KNOWN_PATHS);
  }

  async #withNewParents(folders: Set<string>): Promise<{ folders: Set<string>; identities: Map<string, string> }> {
    const identities = new Map<string, string>();
    for (const parent of new Set(folders)) {
      for (let folder = parent; dirname(folder) !== folder; folder = dirname(folder)) {
        const identity = await identityOf(folder);
        if (identity === null || identities.has(folder) || this.#folders.get(folder) === identity) break;
        identities.set(folder, identity);
        folders.add(dirname(folder));
      }
    }
    return { folders, identities };
  }
}

/** A folder that was removed and created again has another identity. Null if the folder does not exist. */
async function identityOf(folder: string): Promise<string | null> {
  try {
    const { dev, ino, birthtimeNs } = await stat(folder, { bigint: true });
    return `${dev}/${ino}/${birthtimeNs}`;
  } catch {
    return null;
  }
}

/** False if the path does not exist. */
async function unlessMissing(synced: Promise<boolean>): Promise<boolean> {
  try {
    return await synced;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw error;
  }
}

/** Runs at most MAX_OPEN_FILES calls in parallel; rejects with the first error, after all running calls have ended. */
async function eachOf(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  const left = paths.values();
  const workers = Array.from({ length: Math.min(MAX_OPEN_FILES, paths.length) }, async () => {
    for (const path of left) await work(path);
  });
  await allEnded(workers);
}

function forgetOldest(known: Set<string> | Map<string, string>, limit: number): void {
  for (const path of known.keys()) {
    if (known.size <= limit) return;
    known.delete(path);
  }
}
