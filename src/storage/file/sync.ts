import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isUnreadableFolder } from "../../base/durable-file.ts";

/** Windows cannot open a folder to fsync it; NTFS journals the entry itself. */
const CAN_SYNC_FOLDERS = process.platform !== "win32";
/** Windows flushes only what is open for writing. Elsewhere reading is enough, and NONBLOCK keeps a pipe from blocking the open. */
const SYNC_FLAGS = process.platform === "win32" ? constants.O_RDWR : constants.O_RDONLY | constants.O_NONBLOCK;
/** Open files at a time; the thread pool has fewer threads anyway. */
const MAX_OPEN_FILES = 32;
/** Paths that one process remembers. The oldest are forgotten, which costs a second fsync and nothing else. */
const MAX_KNOWN_PATHS = 20_000;

/** Throws what the file system throws; ENOENT where there is no such file. False for what is no regular file, which is skipped. */
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

/** As `syncFolder` in durable-file.ts, without blocking the process. */
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
 * What this process knows to be durable: files, because they are immutable once written, and folders, by the identity that their
 * entry in the folder above had when that one was synced.
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
   * Makes files durable that other programs wrote, with their folder entries. Files that do not exist are skipped. Files and folders
   * are synced side by side: nothing is published in between.
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
   * Makes the entries in the folders durable, and the entries of the folders themselves in those above them. That a folder was
   * there before says nothing: its maker may have been killed before it was synced. So this process syncs each one once.
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

/** A folder that was removed and made again has another identity. Null where there is none. */
async function identityOf(folder: string): Promise<string | null> {
  try {
    const { dev, ino, birthtimeNs } = await stat(folder, { bigint: true });
    return `${dev}/${ino}/${birthtimeNs}`;
  } catch {
    return null;
  }
}

/** False where the path does not exist. */
async function unlessMissing(synced: Promise<boolean>): Promise<boolean> {
  try {
    return await synced;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw error;
  }
}

/** At most MAX_OPEN_FILES at a time; rejects with the first failure, once nothing is under way any more. */
async function eachOf(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  const left = paths.values();
  const workers = Array.from({ length: Math.min(MAX_OPEN_FILES, paths.length) }, async () => {
    for (const path of left) await work(path);
  });
  const results = await Promise.allSettled(workers);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function forgetOldest(known: Set<string> | Map<string, string>, limit: number): void {
  for (const path of known.keys()) {
    if (known.size <= limit) return;
    known.delete(path);
  }
}
