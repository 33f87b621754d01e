import { randomUUID } from "node:crypto";
import { setBounded } from "../base/bounded-map.ts";
import { OperatingError } from "../base/errors.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import { fileTooLarge } from "../storage/rejections.ts";
import { isMissing } from "../storage/missing.ts";
import type { Storage } from "../storage/storage.ts";
import { gzipMember } from "../iceberg/gzip.ts";
import type { TableMetadata } from "../iceberg/model.ts";
import { formatMetadata, MAX_METADATA_BYTES, parseMetadata } from "../iceberg/metadata/text.ts";
import { metadataLocation } from "./metadata-versions.ts";

/**
 * Number of versions cached in memory. The parsed metadata of a table with 2,000 snapshots takes about 3 MB, but
 * successive versions share nearly all of it, and a superseded version is dropped when its successor is published.
 */
const MAX_CACHED_VERSIONS = 64;

/** Reads and writes metadata files. They are immutable, so cached ones are not read again. */
export class MetadataFiles {
  readonly #storage: Storage;
  readonly #cached = new Map<string, TableMetadata>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** The result is shared between callers, so it must not be changed. Throws FILE_NOT_FOUND, INVALID_REQUEST. */
  async read(location: string): Promise<TableMetadata> {
    const metadata = this.#cached.get(location) ?? parseMetadata(await this.#readFile(location), location);
    this.remember(location, metadata);
    return metadata;
  }

  /** Words the error for a missing file like the reference implementation. */
  async #readFile(location: string): Promise<Uint8Array> {
    try {
      const size_bytes = (await this.#storage.statOf(location))?.size_bytes ?? 0;
      if (size_bytes > MAX_METADATA_BYTES) throw fileTooLarge(location, size_bytes, MAX_METADATA_BYTES);
      return await this.#storage.read(location);
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new OperatingError(error.code, `Failed to open input stream for file: ${location}`, {
        next_step: "Run `npm run -s coinlake -- repair`: the table's metadata file is missing.",
        cause: error,
      });
    }
  }

  /** Durable when it resolves; not visible until the pointer moves to it. */
  async write(metadata: TableMetadata, version: number): Promise<string> {
    const parts = formatMetadata(metadata);
    const is_compressed = isCompressed(metadata, parts);
    const location = metadataLocation(metadata, version, randomUUID(), is_compressed);
    await this.#storage.write(location, is_compressed ? gzipMember(parts) : Buffer.concat(parts));
    return location;
  }

  get cached_versions(): number {
    return this.#cached.size;
  }

  /** Evicts the least recently used version. */
  remember(location: string, metadata: TableMetadata): void {
    setBounded(this.#cached, MAX_CACHED_VERSIONS, location, metadata);
  }

  forget(location: string): void {
    this.#cached.delete(location);
  }

  /**
   * Deletes a file of the table with this folder. Returns false, without deleting, if the file is outside the folder.
   */
  async delete(
    location: string,
    { folder, warehouse }: { folder: string; warehouse: string | null },
  ): Promise<boolean> {
    this.forget(location);
    return (await deleteOwnFiles({ storage: this.#storage, warehouse }, folder, [location])).length === 0;
  }
}

/**
 * Small metadata stays readable text. Large metadata is written at every commit with few changes; compression reduces
 * it to one seventh.
 */
const COMPRESSED_FROM_BYTES = 32 * 1024;

/** Follows the table's `write.metadata.compression-codec` (gzip or none); without it, the size. */
function isCompressed(metadata: TableMetadata, parts: readonly Uint8Array[]): boolean {
  const codec = metadata.properties["write.metadata.compression-codec"]?.toLowerCase();
  if (codec === "gzip" || codec === "none") return codec === "gzip";
  return parts.reduce((total, part) => total + part.length, 0) >= COMPRESSED_FROM_BYTES;
}
