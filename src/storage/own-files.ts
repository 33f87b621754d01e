import { realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { OperatingError } from "../base/errors.ts";
import { pathOfLocation } from "./file/location.ts";
import { canonicalLocation } from "./location.ts";
import type { Storage } from "./storage.ts";

/** Number of parallel deletions that keeps a disk or a bucket busy. */
const DELETIONS_AT_ONCE = 16;

export interface OwnFiles {
  storage: Storage;
  /** Location above the table folders; null if the caller has just written the files itself. */
  warehouse: string | null;
  signal?: AbortSignal;
}

/**
 * The only function that deletes a table's files. Clients write metadata, so its locations are not trusted: a file is
 * deleted only if its canonical path is in `folder`, without `..` and with symbolic links resolved, and `folder` is in
 * the warehouse. Returns the rejected locations; a file that does not exist counts as deleted. Throws the errors of the
 * storage, and the signal's reason once it aborts; then some of the files may still exist.
 */
export async function deleteOwnFiles(
  { storage, warehouse, signal }: OwnFiles,
  folder: string,
  locations: readonly string[],
  progress?: (done: number) => void,
): Promise<string[]> {
  const folders = new Folders();
  const is_own = warehouse === null || (await folders.isBelow(folder, warehouse, { is_followed: true }));
  const rejected: string[] = [];
  for (let start = 0; start < locations.length; start += DELETIONS_AT_ONCE) {
    signal?.throwIfAborted();
    await Promise.all(
      locations.slice(start, start + DELETIONS_AT_ONCE).map(async (location) => {
        if (is_own && (await folders.isBelow(location, folder))) await storage.delete(location);
        else rejected.push(location);
      }),
    );
    progress?.(Math.min(locations.length, start + DELETIONS_AT_ONCE));
  }
  return rejected;
}

/**
 * Deletes files of a failed write, whose own error is the one to report. A storage that does not answer keeps them;
 * orphan removal deletes them later.
 */
export async function deleteIfPossible(storage: Storage, folder: string, made: readonly string[]): Promise<void> {
  try {
    await deleteOwnFiles({ storage, warehouse: null }, folder, made);
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
  }
}

/** Whether a location is in a folder, by name alone. Excludes the folder itself and paths with `..` or `.`. Pure. */
export function isInFolder(location: string, folder: string): boolean {
  const [file, top] = [canonicalLocation(location), canonicalLocation(folder).replace(/\/+$/, "")];
  if (!file.startsWith(`${top}/`) || hasDots(top)) return false;
  const rest = file.slice(top.length + 1);
  return rest !== "" && !hasDots(rest);
}

function hasDots(path: string): boolean {
  return path.split("/").some((segment) => segment === ".." || segment === ".");
}

/** Real paths of folders, each resolved once. */
class Folders {
  readonly #real = new Map<string, Promise<string | null>>();

  /**
   * Compares names and, on disk, real paths. A location that is itself a symbolic link means the link, unless
   * `is_followed`.
   */
  async isBelow(location: string, folder: string, { is_followed = false } = {}): Promise<boolean> {
    if (!isInFolder(location, folder)) return false;
    if (!canonicalLocation(location).startsWith("file:")) return true;
    const [path, top] = [pathOf(location), await this.#resolve(pathOf(folder))];
    const parent = await this.#resolve(dirname(path));
    const target = is_followed ? await this.#resolve(path) : parent && join(parent, basename(path));
    // No file to delete exists there, so the name decides.
    if (top === null || target === null) return true;
    return target.startsWith(`${top.replace(/[/\\]+$/, "")}${sep}`);
  }

  #resolve(path: string): Promise<string | null> {
    const known = this.#real.get(path);
    if (known !== undefined) return known;
    const resolved = realpath(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
      throw error;
    });
    this.#real.set(path, resolved);
    return resolved;
  }
}

function pathOf(location: string): string {
  return pathOfLocation(canonicalLocation(location));
}
