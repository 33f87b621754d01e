import type { ChecksumStore, FileChecksum } from "./checksums.ts";
import type { CommittedTable } from "./commit.ts";
import { canonicalLong } from "../iceberg/long.ts";
import { messageOf } from "../base/errors.ts";
import { digestOf } from "../storage/digest.ts";
import { canonicalLocation } from "../storage/location.ts";
import { nullIfMissing } from "../storage/missing.ts";
import type { Storage } from "../storage/storage.ts";
import { STATUS } from "../iceberg/manifest-model.ts";
import { readManifest, readManifestList } from "../iceberg/snapshot-files.ts";

/** Number of deletions buffered before they are written without a commit. */
const MAX_FORGOTTEN = 512;

/**
 * Computes a checksum of every file that a commit adds: metadata, manifest list, manifests, data and delete files. Runs
 * after the commit, which does not wait for it. Processes one table at a time, so that hashing needs the buffer of only
 * one file. `verify --deep` adds the checksums that a killed process did not compute.
 */
export class ChecksumLedger {
  readonly #storage: Storage;
  readonly #checksums: ChecksumStore;
  readonly #warn: (message: string) => void;
  readonly #forgotten = new Set<string>();
  #queue: Promise<void> = Promise.resolve();

  /** `warn` receives a sentence if checksums of deleted files could not be removed. */
  constructor(storage: Storage, checksums: ChecksumStore, warn: (message: string) => void = () => {}) {
    this.#storage = storage;
    this.#checksums = checksums;
    this.#warn = warn;
  }

  /**
   * Resolves when the checksums are stored. Throws the errors of the storage and the store, except for files that
   * expired meanwhile.
   */
  record(tables: readonly CommittedTable[]): Promise<void> {
    const recorded = this.#queue.then(() => this.#recordTables(tables));
    this.#queue = recorded.catch(() => {});
    return recorded;
  }

  /**
   * Removes the checksum of a deleted file with the store's next change. Never throws, because the deletion has
   * succeeded.
   */
  forget(location: string): void {
    this.#forgotten.add(canonicalLocation(location));
    // If the store fails, the next attempt follows after MAX_FORGOTTEN further deletions, not at each deletion.
    if (this.#forgotten.size % MAX_FORGOTTEN === 0) this.#storeForgotten();
  }

  async close(): Promise<void> {
    await this.#queue;
    this.#storeForgotten();
    this.#checksums.close();
  }

  /** A checksum without a file is harmless: `verify` checks only files that a table names. */
  #storeForgotten(): void {
    if (this.#forgotten.size === 0) return;
    try {
      this.#store([]);
    } catch (error) {
      this.#warn(
        `The checksums of ${this.#forgotten.size} deleted files could not be removed yet: ${messageOf(error)}.`,
      );
    }
  }

  async #recordTables(tables: readonly CommittedTable[]): Promise<void> {
    for (const table of tables) await this.#recordTable(table);
  }

  async #recordTable(table: CommittedTable): Promise<void> {
    const added: FileChecksum[] = [];
    for (const location of await this.#newFiles(table)) {
      if (this.#checksums.has(canonicalLocation(location))) continue;
      const digest = await nullIfMissing(() => digestOf(this.#storage, location));
      if (digest !== null) added.push({ location: canonicalLocation(location), ...digest, taken_by: "commit" });
    }
    this.#store(added);
  }

  #store(added: readonly FileChecksum[]): void {
    const removed = [...this.#forgotten];
    this.#checksums.change({ added: added.filter(({ location }) => !this.#forgotten.has(location)), removed });
    this.#forgotten.clear();
  }

  /** Manifests of snapshots that the commit joined into one still have the ids of those snapshots. */
  async #newFiles({ metadata, metadata_location, added_snapshot_ids }: CommittedTable): Promise<string[]> {
    const files = [metadata_location];
    const added = new Set(added_snapshot_ids.map(canonicalLong));
    for (const snapshot of metadata.snapshots.filter((candidate) =>
      added.has(canonicalLong(candidate["snapshot-id"])),
    )) {
      files.push(snapshot["manifest-list"]);
      const manifests = await nullIfMissing(() => readManifestList(this.#storage, snapshot));
      for (const manifest of manifests ?? []) {
        if (!added.has(canonicalLong(manifest.added_snapshot_id))) continue;
        files.push(manifest.manifest_path);
        const read = await nullIfMissing(() => readManifest(this.#storage, metadata, manifest));
        for (const { status, data_file } of read?.entries ?? [])
          if (status === STATUS.added) files.push(data_file.file_path);
      }
    }
    return files;
  }
}
