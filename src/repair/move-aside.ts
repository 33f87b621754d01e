import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { canonicalLocation } from "../storage/location.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { tableOfFile } from "./metadata-versions.ts";
import { makeFolder } from "../base/folder.ts";

/** Folder of the lake for damaged files that were replaced; nothing in it is read or deleted. */
export function damagedFolder(lake_folder: string, now_ms: number): string {
  return join(lake_folder, "damaged", new Date(now_ms).toISOString().replaceAll(/[:.]/g, "-"));
}

/** Moves a SQLite file with its side files, if it exists. */
export function moveDatabaseAside(file: string, folder: string): void {
  for (const path of ["", "-wal", "-shm"].map((end) => `${file}${end}`)) {
    if (!existsSync(path)) continue;
    makeFolder(folder);
    renameSync(path, join(folder, basename(path)));
  }
}

/**
 * Copies the damaged file, if it exists, before another takes its name: object stores cannot move files.
 */
export async function replaceFile(
  storage: Storage,
  location: string,
  bytes: Uint8Array,
  { folder, warehouse }: { folder: string; warehouse: string },
): Promise<void> {
  if ((await storage.statOf(location)) !== null) {
    const path = join(folder, canonicalLocation(location).slice(canonicalLocation(warehouse).length + 1));
    makeFolder(dirname(path));
    writeFileSync(path, await storage.read(location), { flush: true });
    await deleteOwnFiles({ storage, warehouse }, tableOfFile(location, warehouse)?.folder ?? warehouse, [location]);
  }
  await storage.write(location, bytes);
}

/** Puts a finished file in place; durable when it returns. */
export function putInPlace(from: string, to: string): void {
  renameSync(from, to);
  if (process.platform === "win32") return;
  const folder = openSync(dirname(to), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
