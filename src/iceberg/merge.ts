import { CONTENT, MANIFEST_CONTENT, STATUS, type ManifestEntry, type ManifestFile } from "./manifest-model.ts";

/**
 * Number of manifests of similar size that are merged. Every append adds a manifest, and every reader opens all of
 * them. Merging by size, like a log-structured merge tree, keeps the cost of a commit constant, and rewrites each
 * file's entry once per level instead of once per merge.
 */
export const MERGE_COUNT = 100;

/** The manifests to merge into one: all of one spec and level; empty if there are too few. Pure. */
export function chooseMerge(manifests: readonly ManifestFile[], spec_id: number): ManifestFile[] {
  const levels = new Map<number, ManifestFile[]>();
  for (const manifest of manifests) {
    if (manifest.content !== MANIFEST_CONTENT.data || manifest.partition_spec_id !== spec_id) continue;
    const level = levelOf(manifest.added_files_count + manifest.existing_files_count);
    const others = levels.get(level);
    if (others === undefined) levels.set(level, [manifest]);
    else others.push(manifest);
  }
  return [...levels.values()].find((level) => level.length >= MERGE_COUNT) ?? [];
}

function levelOf(files_count: number): number {
  let level = 0;
  for (let limit = MERGE_COUNT; files_count >= limit; limit *= MERGE_COUNT) level += 1;
  return level;
}

/**
 * The entries of a merged manifest: live data files only, with explicit instead of inherited values (spec, "Manifest
 * Entry Fields"). Pure.
 */
export function keepLive(entries: readonly ManifestEntry[]): ManifestEntry[] {
  return entries
    .filter(({ status, data_file }) => status !== STATUS.deleted && data_file.content === CONTENT.data)
    .map((entry) => ({ ...entry, status: STATUS.existing }));
}
