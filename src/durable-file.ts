import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Small files and folders that a lake cannot do without. Synchronous: they are written once, before anything else runs. */

/**
 * The old text or the new one, never half of it, and on disk when it returns. The rename alone is not enough: after a power cut
 * the new name may lead to a file of no bytes.
 */
export function replaceFileDurably(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { flush: true });
  renameSync(`${file}.tmp`, file);
  syncFolder(dirname(resolve(file)));
}

/** Makes the folder and those above it. All are synced, because a run that was killed may have made some and synced none. */
export function makeFolderDurably(path: string): void {
  mkdirSync(path, { recursive: true });
  for (let folder = resolve(path); dirname(folder) !== folder; folder = dirname(folder)) syncFolder(dirname(folder));
}

/** Windows cannot open a folder to fsync it; NTFS journals the entry itself. A folder that may not be read holds nothing of ours. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  let folder: number;
  try {
    folder = openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EACCES") return;
    throw error;
  }
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
