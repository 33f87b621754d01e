import { setBounded } from "../base/bounded-map.ts";
import { canonicalLong } from "../iceberg/long.ts";
import type { CommittedFiles, MakeDurable } from "./durable.ts";
import type { Long, Snapshot, TableMetadata } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { decodeAvro } from "../iceberg/avro.ts";
import { decodeManifestList } from "../iceberg/manifest-list.ts";
import { STATUS } from "../iceberg/manifest-model.ts";

/**
 * Field ids of the fields that are read here (spec, "Manifests"). They suffice to read a manifest without its partition
 * spec.
 */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0, "status"],
  [1, "snapshot_id"],
  [2, "data_file"],
  [100, "file_path"],
]);

/**
 * Number of decoded manifest lists in memory. The new manifests of a commit are those that its parent's list does not
 * name.
 */
const MAX_KNOWN_LISTS = 64;

/**
 * Makes the files of new snapshots durable, from every writer: manifest lists, manifests that the parents lack, the
 * data and delete files that these add, statistics, and all their folders. Skips manifest lists that this process wrote
 * through `storage`, and all files that they name: the internal writers (append.ts, replace.ts) make data files durable
 * before they stage a snapshot.
 */
export function createMakeDurable(storage: Storage): MakeDurable {
  const known_lists = new Map<string, readonly string[]>();

  /** The locations of a snapshot's manifests; null if they cannot be read. */
  async function manifestsOf(snapshot: Snapshot): Promise<readonly string[] | null> {
    const inline = (snapshot as { manifests?: unknown }).manifests;
    if (Array.isArray(inline)) return inline.map(String);
    const list = snapshot["manifest-list"];
    let manifests = known_lists.get(list) ?? null;
    if (manifests === null) {
      const bytes = await readIfThere(storage, list);
      manifests = bytes && unlessMalformed(() => decodeManifestList(bytes).map(({ manifest_path }) => manifest_path));
    }
    if (manifests !== null) setBounded(known_lists, MAX_KNOWN_LISTS, list, manifests);
    return manifests;
  }

  /** Adds the files of a new snapshot to `files`; returns false if a manifest or list could not be read. */
  async function collect(
    snapshot: Snapshot,
    { base, next, added_ids }: CommittedFiles,
    files: Set<string>,
  ): Promise<boolean> {
    const list = snapshot["manifest-list"];
    if (list !== undefined) {
      if (storage.isKnownDurable(list)) return true;
      files.add(list);
    }
    const manifests = await manifestsOf(snapshot);
    if (manifests === null) return false;
    const parent = base === null ? null : snapshotWithId(next, snapshot["parent-snapshot-id"]);
    const inherited = new Set(parent === null ? [] : await manifestsOf(parent));
    let is_complete = true;
    for (const manifest of manifests) {
      if (inherited.has(manifest) || files.has(manifest)) continue;
      files.add(manifest);
      const bytes = await readIfThere(storage, manifest);
      if (bytes === null) continue;
      const added = unlessMalformed(() => filesAddedIn(bytes, base === null ? null : added_ids));
      if (added === null) is_complete = false;
      for (const file of added ?? []) files.add(file);
    }
    return is_complete;
  }

  return async (commit) => {
    const files = new Set(commit.other_files);
    let is_complete = true;
    for (const snapshot of newSnapshots(commit)) is_complete = (await collect(snapshot, commit, files)) && is_complete;
    // A file that cannot be decoded, such as a manifest with an unsupported compression codec, may name any file of the
    // table.
    if (!is_complete) for await (const { location } of storage.list(commit.next.location)) files.add(location);
    await storage.syncAll([...files]);
  };
}

function newSnapshots({ base, next, added_ids }: CommittedFiles): Snapshot[] {
  if (base === null) return next.snapshots;
  if (added_ids.size === 0) return [];
  return next.snapshots.filter((snapshot) => added_ids.has(canonicalLong(snapshot["snapshot-id"])));
}

function snapshotWithId(metadata: TableMetadata, id: Long | null | undefined): Snapshot | null {
  if (id == null) return null;
  const wanted = canonicalLong(id);
  return metadata.snapshots.findLast((snapshot) => canonicalLong(snapshot["snapshot-id"]) === wanted) ?? null;
}

/**
 * The files that the manifest adds. An entry merged by a later snapshot of the same commit is no longer "added" but has
 * the id of a snapshot of the commit. Null, for a table that is new to the catalog, selects all files. Pure.
 */
function filesAddedIn(manifest: Uint8Array, added_ids: ReadonlySet<Long> | null): string[] {
  return decodeAvro(manifest, NAMES).records.flatMap((record) => {
    const { status, snapshot_id, data_file } = record as {
      status: number;
      snapshot_id: Long | null;
      data_file: { file_path: string };
    };
    if (status === STATUS.deleted) return [];
    const is_added =
      status === STATUS.added ||
      added_ids === null ||
      (snapshot_id !== null && added_ids.has(canonicalLong(snapshot_id)));
    return is_added ? [data_file.file_path] : [];
  });
}

/** Null if the file does not exist or belongs to another storage: it needs no sync. */
async function readIfThere(storage: Storage, location: string): Promise<Uint8Array | null> {
  try {
    return await storage.read(location);
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "FILE_NOT_FOUND" || error.code === "UNSUPPORTED_LOCATION"))
      return null;
    throw error;
  }
}

function unlessMalformed<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof OperatingError && error.code === "INVALID_AVRO") return null;
    throw error;
  }
}
