import { CONTENT, MANIFEST_CONTENT, STATUS, type ManifestEntry, type ManifestFile } from "./manifest-model.ts";

/**
 * Every append adds a manifest, and every reader opens them all. So those of about one size are merged when this many have
 * gathered, as a log-structured tree merges its levels: a commit's cost stays flat, and each file's entry is rewritten
 * once per level, not once per merge.
 */
export const MERGE_COUNT = 100;

/** The manifests to merge into one: all of one spec and level, or none. Pure. */
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

/** Entries as a merged manifest keeps them: live ones only, with what they inherited written out (spec, "Manifest Entry Fields"). Pure. */
export function keepLive(entries: readonly ManifestEntry[]): ManifestEntry[] {
  return entries
    .filter(({ status, data_file }) => status !== STATUS.deleted && data_file.content === CONTENT.data)
    .map((entry) => ({ ...entry, status: STATUS.existing }));
}
