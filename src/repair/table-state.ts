import { nameOfTable } from "../iceberg/errors.ts";
import type { LoadedTable, Long, Snapshot } from "../iceberg/model.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { CONTENT, STATUS, type ManifestEntry, type ManifestFile } from "../iceberg/manifest-model.ts";
import { readManifest, readManifestList, type ReadManifest } from "../iceberg/snapshot-files.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import type { LakeFiles } from "./lake-files.ts";

/** An unreadable file of a table. */
export interface Damage {
  file: string;
  /** `data file`, `manifest` ... */
  kind: string;
  /** `is missing` ... */
  words: string;
}

/** The readable part of a table's current snapshot. */
export interface TableState {
  table: string;
  loaded: LoadedTable;
  snapshot: Snapshot | null;
  /** The readable manifests. */
  manifests: ReadManifest[];
  damage: Damage[];
  /** Entries of unreadable data files. */
  damaged: ManifestEntry[];
  /** Whether the manifest list or a manifest is damaged, so that its files are unknown. */
  has_unknown_files: boolean;
}

/**
 * Checks the manifest list, the manifests and every data file that they name; `is_thorough` also compares contents with
 * checksums and the backup.
 */
export async function inspectTable(
  loaded: LoadedTable,
  files: LakeFiles,
  { is_thorough }: { is_thorough: boolean },
): Promise<TableState> {
  const { storage } = files;
  const { metadata, identifier } = loaded;
  const snapshot = currentSnapshot(metadata);
  const state: TableState = {
    table: nameOfTable(identifier),
    loaded,
    snapshot,
    manifests: [],
    damage: [],
    damaged: [],
    has_unknown_files: false,
  };
  const lost = (file: string, kind: string, words: string): void => {
    state.damage.push({ file, kind, words });
    state.has_unknown_files = true;
  };
  if (snapshot === null) return state;
  const list = await readable(() => readManifestList(storage, snapshot));
  if (typeof list === "string") lost(snapshot["manifest-list"], "manifest list", list);
  else {
    for (const manifest of list) {
      const read = await readable(() => readManifest(storage, metadata, manifest));
      if (typeof read === "string") lost(manifest.manifest_path, "manifest", read);
      else state.manifests.push(read);
    }
  }
  for (const entry of state.manifests.flatMap(({ entries }) =>
    entries.filter(({ status }) => status !== STATUS.deleted),
  )) {
    const { file_path, file_size_in_bytes, content } = entry.data_file;
    const words = await files.damageOf(file_path, Number(file_size_in_bytes), { is_thorough });
    if (words === null) continue;
    state.damage.push({ file: file_path, kind: content === CONTENT.data ? "data file" : "delete file", words });
    state.damaged.push(entry);
  }
  return state;
}

/** The content, or the reason why it is unreadable. */
async function readable<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof OperatingError) || error.is_retryable) throw error;
    return error.code === "FILE_NOT_FOUND"
      ? "is missing"
      : `cannot be read (${messageOf(error).replace(/^\S+: /, "")})`;
  }
}

/**
 * Snapshots whose metadata files cannot be read, including the current one. No reader can open them. Maintenance needs
 * the files of every retained snapshot, and would fail at each run.
 */
export async function unreadableSnapshots({ loaded: { metadata } }: TableState, files: LakeFiles): Promise<Long[]> {
  const { storage } = files;
  const manifests = new Map<string, boolean>();
  const isReadable = async (manifest: ManifestFile): Promise<boolean> => {
    const known = manifests.get(manifest.manifest_path);
    if (known !== undefined) return known;
    const is_there = files.sizeOf(manifest.manifest_path) === Number(manifest.manifest_length);
    const is_readable =
      is_there && typeof (await readable(() => readManifest(storage, metadata, manifest))) !== "string";
    manifests.set(manifest.manifest_path, is_readable);
    return is_readable;
  };
  const unreadable: Long[] = [];
  for (const snapshot of metadata.snapshots) {
    const list = await readable(() => readManifestList(storage, snapshot));
    const found = typeof list === "string" ? [false] : await Promise.all(list.map(isReadable));
    if (found.includes(false)) unreadable.push(snapshot["snapshot-id"]);
  }
  return unreadable;
}
