import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/**
 * Small files and folders that a lake cannot do without. Synchronous: they are written once, before anything else runs.
 */

/**
 * The old text or the new one, never half of it, and on disk when it returns. The rename alone is not enough: after a
 * power cut the new name may lead to a file of no bytes.
 */
export function replaceFileDurably(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { flush: true });
  renameSync(`${file}.tmp`, file);
  syncFolder(dirname(resolve(file)));
}

/**
 * Makes the folder and those above it. All are synced, because a run that was killed may have made some and synced
 * none.
 */
export function makeFolderDurably(path: string): void {
  mkdirSync(path, { recursive: true });
  for (let folder = resolve(path); dirname(folder) !== folder; folder = dirname(folder)) syncFolder(dirname(folder));
}

/** Makes a file's content durable. */
export function syncFile(path: string): void {
  syncOpened(openSync(path, process.platform === "win32" ? "r+" : "r"));
}

/**
 * Makes the entries of a folder durable: what was created in it, removed from it, or renamed. Windows cannot open a
 * folder to fsync it; NTFS journals the entry itself.
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
 * Makes the entries durable that lead from the folder to the paths below it: those of every folder in between, deepest
 * first.
 */
export function syncFoldersTo(folder: string, paths: readonly string[]): void {
  for (const below of foldersTo(paths)) syncFolder(join(folder, below));
}

/**
 * The folders that hold the paths, which are relative, and all above these; each once, the deepest first, `.` last.
 * Pure.
 */
export function foldersTo(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let folder = dirname(path); !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  }
  const depth = (folder: string): number => (folder === "." ? 0 : folder.split(/[/\\]/).length);
  return [...folders].sort((a, b) => depth(b) - depth(a));
}

/** Of an error when a folder was opened: a folder that this user may not read is one that this user made nothing in. */
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
