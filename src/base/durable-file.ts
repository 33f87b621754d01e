import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { makeFolder } from "./folder.ts";

/** Durable writes of small files and folders. Synchronous, because they happen before anything else runs. */

/**
 * Replaces a file atomically; the new text is durable when the function returns. A rename alone is not enough: after a
 * power cut the new name may refer to an empty file.
 */
export function replaceFileDurably(file: string, text: string): void {
  try {
    writeFileSync(`${file}.tmp`, text, { flush: true });
  } catch (error) {
    // Node names the path where it cannot open a file, but not where it cannot write to it.
    throw Object.assign(error as NodeJS.ErrnoException, { path: file });
  }
  renameSync(`${file}.tmp`, file);
  syncFolder(dirname(resolve(file)));
}

/**
 * Creates the folder and its ancestors. Syncs all of them, because a killed run may have created some without a sync.
 */
export function makeFolderDurably(path: string): void {
  makeFolder(path);
  for (let folder = resolve(path); dirname(folder) !== folder; folder = dirname(folder)) syncFolder(dirname(folder));
}

/** Makes a file's content durable by fsync. */
export function syncFile(path: string): void {
  syncOpened(openSync(path, process.platform === "win32" ? "r+" : "r"));
}

/**
 * Makes a folder's entries durable: files created, removed or renamed in it. Windows cannot open a folder for fsync;
 * NTFS journals the entry itself.
 */
export function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  let folder: number;
  try {
    folder = openSync(path, "r");
  } catch (error) {
    if (isUnreadableFolder(error)) return;
    throw error;
  }
  syncOpened(folder);
}

/**
 * Makes the directory entries durable on the paths from `folder` to the given paths: syncs every folder in between,
 * deepest first.
 */
export function syncFoldersTo(folder: string, paths: readonly string[]): void {
  for (const below of foldersTo(paths)) syncFolder(join(folder, below));
}

/** All ancestor folders of the relative paths, each once, deepest first, `.` last. Pure. */
export function foldersTo(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let folder = dirname(path); !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  }
  const depth = (folder: string): number => (folder === "." ? 0 : folder.split(/[/\\]/).length);
  return [...folders].sort((a, b) => depth(b) - depth(a));
}

/** Whether an error means that this user may not read a folder. This user then created nothing in it. */
export function isUnreadableFolder(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EACCES";
}

function syncOpened(handle: number): void {
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
