import { open } from "node:fs/promises";
import { pathOfLocation } from "../storage/file/location.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";
import { sha256, type BackupFiles } from "./backup-files.ts";

const MAGIC = "PAR1";
const TRAILER_BYTES = 8;

/** The files below a warehouse, from one listing; what is damaged or missing there is read from a backup, where one has it. */
export class LakeFiles {
  /** Damaged files that the backup has. */
  readonly #replaced = new Set<string>();
  readonly #sizes = new Map<string, number>();
  readonly #storage: Storage;
  readonly #backup: BackupFiles | null;

  private constructor(storage: Storage, backup: BackupFiles | null) {
    this.#storage = storage;
    this.#backup = backup;
  }

  static async list(storage: Storage, warehouse: string, backup: BackupFiles | null = null): Promise<LakeFiles> {
    const files = new LakeFiles(storage, backup);
    for await (const { location, size_bytes } of storage.list(warehouse)) files.#sizes.set(canonicalLocation(location), size_bytes);
    return files;
  }

  /** Canonical locations of the files that the backup is to put in place of damaged ones. */
  get replaced(): readonly string[] {
    return [...this.#replaced];
  }

  /** Null where there is no such file. */
  sizeOf(location: string): number | null {
    const size_bytes = this.#sizes.get(canonicalLocation(location)) ?? null;
    const kept = this.#backup?.get(location) ?? null;
    if (kept === null || kept.size_bytes === size_bytes) return size_bytes;
    this.#replaced.add(canonicalLocation(location));
    return kept.size_bytes;
  }

  /** The backup's file in place of one that is damaged. */
  async read(location: string): Promise<Uint8Array> {
    this.sizeOf(location);
    const is_replaced = this.#replaced.has(canonicalLocation(location));
    return is_replaced && this.#backup !== null ? this.#backup.read(location) : this.#storage.read(location);
  }

  /** The same, for what reads through a storage. Writes go to the lake. */
  get storage(): Storage {
    const lake = this.#storage;
    return {
      read: (location) => this.read(location),
      statOf: (location) => lake.statOf(location),
      list: (location) => lake.list(location),
      write: (location, bytes) => lake.write(location, bytes),
      makeFolder: (location) => lake.makeFolder(location),
      sync: (location) => lake.sync(location),
      delete: (location) => lake.delete(location),
      removeFolder: (location) => lake.removeFolder(location),
    };
  }

  /** Canonical locations, of the lake alone. */
  all(): string[] {
    return [...this.#sizes.keys()];
  }

  below(folder: string): string[] {
    const start = `${canonicalLocation(folder)}/`;
    return this.all().filter((location) => location.startsWith(start));
  }

  /**
   * What is wrong with a data file, in words; null for one that has the recorded size and, on a local disk, ends as Parquet does. With
   * `is_thorough` its content is compared with the backup's.
   */
  async damageOf(location: string, recorded_bytes: number, { is_thorough }: { is_thorough: boolean }): Promise<string | null> {
    const size_bytes = this.sizeOf(location);
    if (size_bytes === null) return "is missing";
    if (size_bytes !== recorded_bytes) return `has ${size_bytes} of ${recorded_bytes} bytes`;
    if (this.#replaced.has(canonicalLocation(location))) return null;
    const is_whole = !location.startsWith("file:") || (await endsAsParquet(pathOfLocation(location), size_bytes));
    const kept = this.#backup?.get(location) ?? null;
    if (kept !== null && (!is_whole || (is_thorough && sha256(await this.#storage.read(location)) !== kept.sha256))) {
      this.#replaced.add(canonicalLocation(location));
      return null;
    }
    return is_whole ? null : "does not end as Parquet does";
  }
}

async function endsAsParquet(path: string, size_bytes: number): Promise<boolean> {
  if (size_bytes < MAGIC.length + TRAILER_BYTES) return false;
  const file = await open(path);
  try {
    const trailer = Buffer.alloc(TRAILER_BYTES);
    await file.read(trailer, 0, TRAILER_BYTES, size_bytes - TRAILER_BYTES);
    return trailer.toString("latin1", 4) === MAGIC && trailer.readUInt32LE() <= size_bytes - TRAILER_BYTES - MAGIC.length;
  } finally {
    await file.close();
  }
}
