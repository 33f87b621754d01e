import { open } from "node:fs/promises";
import { OperatingError } from "../base/errors.ts";
import { pathOfLocation } from "../storage/file/location.ts";
import { canonicalLocation } from "../storage/location.ts";
import { overrideStorage } from "../storage/override.ts";
import type { Storage } from "../storage/storage.ts";
import { isStoreDamage } from "../base/sqlite.ts";
import type { ChecksumStore, FileChecksum } from "../catalog/checksums.ts";
import { digestOf } from "../storage/digest.ts";
import type { BackupFiles } from "./backup-files.ts";

const MAGIC = "PAR1";
const TRAILER_BYTES = 8;

export interface LakeFilesParts {
  storage: Storage;
  backup: BackupFiles | null;
  checksums: Pick<ChecksumStore, "get"> | null;
}

/**
 * The files of a warehouse, from one listing; damaged or missing files are read from the backup, if it has them.
 */
export class LakeFiles {
  /** Damaged files that the backup has. */
  readonly #replaced = new Set<string>();
  readonly #sizes = new Map<string, number>();
  readonly #storage: Storage;
  readonly #backup: BackupFiles | null;
  /** Null if the catalog stores none or is unreadable. */
  readonly #checksums: Pick<ChecksumStore, "get"> | null;

  private constructor({ storage, backup, checksums }: LakeFilesParts) {
    this.#storage = storage;
    this.#backup = backup;
    this.#checksums = checksums;
  }

  static async list(warehouse: string, parts: LakeFilesParts): Promise<LakeFiles> {
    const { storage } = parts;
    const files = new LakeFiles(parts);
    for await (const { location, size_bytes } of storage.list(warehouse))
      files.#sizes.set(canonicalLocation(location), size_bytes);
    return files;
  }

  /** Canonical locations of damaged files that the backup replaces. */
  get replaced(): readonly string[] {
    return [...this.#replaced];
  }

  /** Null if the file does not exist. */
  sizeOf(location: string): number | null {
    const size_bytes = this.#sizes.get(canonicalLocation(location)) ?? null;
    const kept = this.#backup?.get(location) ?? null;
    if (kept === null || kept.size_bytes === size_bytes) return size_bytes;
    this.#replaced.add(canonicalLocation(location));
    return kept.size_bytes;
  }

  /** Whether a commit recorded the file's checksum. */
  isCommitted(location: string): boolean {
    return this.#checksumOf(location) !== null;
  }

  /** Null without a checksum, and where the catalog's file that holds them is damaged, which is another finding. */
  #checksumOf(location: string): FileChecksum | null {
    try {
      return this.#checksums?.get(canonicalLocation(location)) ?? null;
    } catch (error) {
      if (!isStoreDamage(error)) throw error;
      return null;
    }
  }

  /** Whether the content equals its checksum, or no checksum is known. */
  async isAsCommitted(location: string): Promise<boolean> {
    const known = this.#checksumOf(location);
    if (known === null || this.#replaced.has(canonicalLocation(location))) return true;
    if (this.#sizes.get(canonicalLocation(location)) !== known.size_bytes) return false;
    return (await digestOf(this.#storage, location)).sha256 === known.sha256;
  }

  /** Reads a metadata file, from the backup if it is damaged. Throws CHECKSUM_MISMATCH. */
  async read(location: string): Promise<Uint8Array> {
    this.sizeOf(location);
    const is_there = this.#sizes.has(canonicalLocation(location));
    if (is_there && !this.#replaced.has(canonicalLocation(location)) && !(await this.isAsCommitted(location)))
      this.#replace(location);
    const is_replaced = this.#replaced.has(canonicalLocation(location));
    return is_replaced && this.#backup !== null ? this.#backup.read(location) : this.#storage.read(location);
  }

  #replace(location: string): void {
    if ((this.#backup?.get(location) ?? null) === null) {
      throw new OperatingError("CHECKSUM_MISMATCH", "it has changed since its commit", {
        next_step: "Restore the file from a backup.",
      });
    }
    this.#replaced.add(canonicalLocation(location));
  }

  /** The same files as a storage. Writes go to the lake. */
  get storage(): Storage {
    return overrideStorage(this.#storage, { read: (location) => this.read(location) });
  }

  async #isSame(location: string, sha256: string): Promise<boolean> {
    return (await digestOf(this.#storage, location)).sha256 === sha256;
  }

  /** Canonical locations of the lake's files, without the backup's. */
  all(): string[] {
    return [...this.#sizes.keys()];
  }

  below(folder: string): string[] {
    const start = `${canonicalLocation(folder)}/`;
    return this.all().filter((location) => location.startsWith(start));
  }

  /**
   * Describes the damage of a data file; null if the file has the recorded size and, on a local disk, ends as Parquet
   * does. With `is_thorough` its content is compared with its checksum and the backup's.
   */
  async damageOf(
    location: string,
    recorded_bytes: number,
    { is_thorough }: { is_thorough: boolean },
  ): Promise<string | null> {
    const size_bytes = this.sizeOf(location);
    if (size_bytes === null) return "is missing";
    if (size_bytes !== recorded_bytes) return `has ${size_bytes} of ${recorded_bytes} bytes`;
    if (this.#replaced.has(canonicalLocation(location))) return null;
    const is_parquet = !location.startsWith("file:") || (await endsAsParquet(pathOfLocation(location), size_bytes));
    const kept = this.#backup?.get(location) ?? null;
    const is_same =
      !is_thorough ||
      ((await this.isAsCommitted(location)) && (kept === null || (await this.#isSame(location, kept.sha256))));
    if (is_parquet && is_same) return null;
    if (kept === null) return is_parquet ? "has changed since its commit" : "has no Parquet footer";
    this.#replaced.add(canonicalLocation(location));
    return null;
  }
}

async function endsAsParquet(path: string, size_bytes: number): Promise<boolean> {
  if (size_bytes < MAGIC.length + TRAILER_BYTES) return false;
  const file = await open(path);
  try {
    const trailer = Buffer.alloc(TRAILER_BYTES);
    await file.read(trailer, 0, TRAILER_BYTES, size_bytes - TRAILER_BYTES);
    return (
      trailer.toString("latin1", 4) === MAGIC && trailer.readUInt32LE() <= size_bytes - TRAILER_BYTES - MAGIC.length
    );
  } finally {
    await file.close();
  }
}
