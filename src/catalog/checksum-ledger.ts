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

/** Deletions that are gathered before they are written, where no commit comes that takes them along. */
const MAX_FORGOTTEN = 512;

/**
 * Takes a checksum of every file that a commit brings, after the commit: metadata, manifest list, manifests, data and delete files. One
 * table after the other, so that hashing never takes more than one file's buffer; a commit does not wait for it. What a killed process
 * did not get to, `verify --deep` takes.
 */
export class ChecksumLedger {
  readonly #storage: Storage;
  readonly #checksums: ChecksumStore;
  readonly #warn: (message: string) => void;
  readonly #forgotten = new Set<string>();
  #queue: Promise<void> = Promise.resolve();

  /** `warn` is told of checksums of deleted files that could not be removed, as a sentence. */
  constructor(storage: Storage, checksums: ChecksumStore, warn: (message: string) => void = () => {}) {
    this.#storage = storage;
    this.#checksums = checksums;
    this.#warn = warn;
  }

  /** Resolves when the checksums are stored. Throws what storage and store throw, but for files that have expired meanwhile. */
  record(tables: readonly CommittedTable[]): Promise<void> {
    const recorded = this.#queue.then(() => this.#recordTables(tables));
    this.#queue = recorded.catch(() => {});
    return recorded;
  }

  /** The file is deleted: its checksum goes with the next change of the store. Never throws: the deletion has succeeded. */
  forget(location: string): void {
    this.#forgotten.add(canonicalLocation(location));
    // Where the store fails, not at every deletion from then on.
    if (this.#forgotten.size % MAX_FORGOTTEN === 0) this.#storeForgotten();
  }

  async close(): Promise<void> {
    await this.#queue;
    this.#storeForgotten();
    this.#checksums.close();
  }

  /** A checksum whose file is gone misleads nobody: `verify` looks only at files that a table names. */
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

  /** Of snapshots that the commit joined into one, the manifests still carry their ids. */
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
