import { randomUUID } from "node:crypto";
import type { Storage } from "../storage/storage.ts";
import type { TableMetadata } from "./model.ts";
import { formatMetadata, parseMetadata } from "./metadata/text.ts";
import { metadataLocation } from "./metadata/versions.ts";

/**
 * Versions kept in memory: a parsed one of a table with 2,000 snapshots takes about 3 MB, but successive versions share
 * nearly all of it, and a superseded version is dropped when its successor is published.
 */
const MAX_CACHED_VERSIONS = 64;

/** Metadata files are immutable, so what was read or written once is never read again while it is cached. */
export class MetadataFiles {
  readonly #storage: Storage;
  readonly #cached = new Map<string, TableMetadata>();
  /** The file's bytes, for readers over HTTP and for the write itself. */
  readonly #bytes = new WeakMap<TableMetadata, Uint8Array>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Shared with everybody who asked: not to be changed. Throws FILE_NOT_FOUND, BAD_REQUEST. */
  async read(location: string): Promise<TableMetadata> {
    const cached = this.#cached.get(location);
    if (cached !== undefined) return cached;
    const metadata = parseMetadata(await this.#storage.read(location), location);
    this.remember(location, metadata);
    return metadata;
  }

  /** Durable when it resolves; nobody sees it until the pointer moves to it. */
  async write(metadata: TableMetadata, version: number): Promise<string> {
    const location = metadataLocation(metadata, version, randomUUID());
    await this.#storage.write(location, this.bytes(metadata));
    return location;
  }

  bytes(metadata: TableMetadata): Uint8Array {
    let bytes = this.#bytes.get(metadata);
    if (bytes === undefined) {
      bytes = Buffer.from(formatMetadata(metadata));
      this.#bytes.set(metadata, bytes);
    }
    return bytes;
  }

  remember(location: string, metadata: TableMetadata): void {
    this.#cached.delete(location);
    this.#cached.set(location, metadata);
    const oldest = this.#cached.keys().next().value;
    if (this.#cached.size > MAX_CACHED_VERSIONS && oldest !== undefined) this.#cached.delete(oldest);
  }

  forget(location: string): void {
    this.#cached.delete(location);
  }

  async delete(location: string): Promise<void> {
    this.forget(location);
    await this.#storage.delete(location);
  }
}
