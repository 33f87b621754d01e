import type { Snapshot, TableMetadata } from "../iceberg/model.ts";
import { STATUS, type ManifestFile } from "../iceberg/manifest-model.ts";
import { readManifest, readManifestList } from "../iceberg/snapshot-files.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { MaintenanceParts } from "./parts.ts";
import { nullIfMissing } from "../storage/missing.ts";

const READS_AT_ONCE = 16;

/**
 * Reading a lake that was never maintained takes minutes, so each function throws the signal's reason once it aborts.
 */
type Reader = Pick<MaintenanceParts, "storage" | "signal">;

/**
 * Canonical locations of files that `expired` snapshots need and no `kept` one does. Compares with all files of the
 * kept snapshots: an earlier kept snapshot may need a file that a later one removed. Throws the storage's error where a
 * kept snapshot cannot be read, because its files are then unknown. Missing files of an expired snapshot were deleted
 * before.
 */
export async function filesOnlyOf(
  { storage, signal }: Reader,
  metadata: TableMetadata,
  { expired, kept }: { expired: readonly Snapshot[]; kept: readonly Snapshot[] },
): Promise<Set<string>> {
  if (expired.length === 0) return new Set();
  const kept_lists = new Set(kept.map((snapshot) => canonicalLocation(snapshot["manifest-list"])));
  const kept_manifests = await manifestsOf({ storage, signal }, kept, { is_missing_ok: false });
  const expired_manifests = await manifestsOf({ storage, signal }, expired, { is_missing_ok: true });
  const files = new Set<string>();
  for (const snapshot of expired) {
    const list = canonicalLocation(snapshot["manifest-list"]);
    if (!kept_lists.has(list)) files.add(list);
  }
  const only_expired = [...expired_manifests.values()].filter(
    ({ manifest_path }) => !kept_manifests.has(canonicalLocation(manifest_path)),
  );
  for (const { manifest_path } of only_expired) files.add(canonicalLocation(manifest_path));
  await eachFile({ storage, signal }, metadata, only_expired, { is_missing_ok: true, with_deleted: true }, (location) =>
    files.add(canonicalLocation(location)),
  );
  if (files.size > 0) {
    await eachFile(
      { storage, signal },
      metadata,
      [...kept_manifests.values()],
      { is_missing_ok: false, with_deleted: false },
      (location) => files.delete(canonicalLocation(location)),
    );
  }
  for (const location of statisticsOf(metadata, expired)) files.add(canonicalLocation(location));
  for (const location of statisticsOf(metadata, kept)) files.delete(canonicalLocation(location));
  return files;
}

/** Every file of any snapshot of the metadata, and the metadata files in its log. */
export async function allFiles(
  { storage, signal }: Reader,
  metadata: TableMetadata,
  metadata_location: string,
): Promise<Set<string>> {
  const files = new Set<string>();
  const add = (location: string): void => {
    files.add(canonicalLocation(location));
  };
  add(metadata_location);
  for (const entry of metadata["metadata-log"]) add(entry["metadata-file"]);
  for (const snapshot of metadata.snapshots) add(snapshot["manifest-list"]);
  for (const key of STATISTICS)
    for (const file of (metadata[key] ?? []) as StatisticsFile[]) add(file["statistics-path"]);
  const manifests = await manifestsOf({ storage, signal }, metadata.snapshots, { is_missing_ok: false });
  for (const { manifest_path } of manifests.values()) add(manifest_path);
  await eachFile(
    { storage, signal },
    metadata,
    [...manifests.values()],
    { is_missing_ok: false, with_deleted: false },
    add,
  );
  return files;
}

const STATISTICS = ["statistics", "partition-statistics"] as const;
type StatisticsFile = { "statistics-path": string; "snapshot-id": number | bigint };

function statisticsOf(metadata: TableMetadata, snapshots: readonly Snapshot[]): string[] {
  const ids = new Set(snapshots.map((snapshot) => String(snapshot["snapshot-id"])));
  return STATISTICS.flatMap((key) => (metadata[key] ?? []) as StatisticsFile[])
    .filter((file) => ids.has(String(file["snapshot-id"])))
    .map((file) => file["statistics-path"]);
}

interface Missing {
  is_missing_ok: boolean;
}

async function manifestsOf(
  { storage, signal }: Reader,
  snapshots: readonly Snapshot[],
  missing: Missing,
): Promise<Map<string, ManifestFile>> {
  const manifests = new Map<string, ManifestFile>();
  await inGroups(signal, snapshots, async (snapshot) => {
    const list = await unlessMissing(missing, () => readManifestList(storage, snapshot));
    for (const manifest of list ?? []) manifests.set(canonicalLocation(manifest.manifest_path), manifest);
  });
  return manifests;
}

async function eachFile(
  { storage, signal }: Reader,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  { with_deleted, ...missing }: Missing & { with_deleted: boolean },
  visit: (location: string) => void,
): Promise<void> {
  await inGroups(signal, manifests, async (manifest) => {
    const read = await unlessMissing(missing, () => readManifest(storage, metadata, manifest));
    for (const { status, data_file } of read?.entries ?? [])
      if (with_deleted || status !== STATUS.deleted) visit(data_file.file_path);
  });
}

async function inGroups<T>(signal: AbortSignal, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += READS_AT_ONCE) {
    signal.throwIfAborted();
    await Promise.all(items.slice(start, start + READS_AT_ONCE).map(work));
  }
}

function unlessMissing<T>({ is_missing_ok }: Missing, read: () => Promise<T>): Promise<T | null> {
  return is_missing_ok ? nullIfMissing(read) : read();
}
