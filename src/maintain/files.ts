import { canonicalLocation } from "../storage/location.ts";
import type { MaintenanceParts } from "./parts.ts";

/** Enough to keep a disk or a bucket busy. */
const DELETIONS_AT_ONCE = 16;

/**
 * Deleting again what is gone is no error. Throws what the storage throws, and the signal's reason once it aborts; then some of
 * the files may still be there.
 */
export async function deleteFiles(
  { storage, signal }: Pick<MaintenanceParts, "storage"> & Partial<Pick<MaintenanceParts, "signal">>,
  locations: readonly string[],
  progress?: (done: number) => void,
): Promise<void> {
  for (let start = 0; start < locations.length; start += DELETIONS_AT_ONCE) {
    signal?.throwIfAborted();
    await Promise.all(locations.slice(start, start + DELETIONS_AT_ONCE).map((location) => storage.delete(location)));
    progress?.(Math.min(locations.length, start + DELETIONS_AT_ONCE));
  }
}

/** Whether a file lies in the table's folder: nothing else is ever deleted. */
export function isInFolder(location: string, folder: string): boolean {
  const [file, top] = [canonicalLocation(location), canonicalLocation(folder)];
  return file.startsWith(`${top}/`) && !file.slice(top.length).split("/").includes("..");
}
