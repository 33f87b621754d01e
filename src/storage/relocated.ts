import { canonicalLocation } from "./location.ts";
import type { FileStat, Storage } from "./storage.ts";

/**
 * The storage of files that are in one folder now and will be moved to another. Callers use the future locations; reads
 * and writes use the present ones.
 */
export class RelocatedStorage implements Storage {
  readonly #storage: Storage;
  readonly #future: string;
  readonly #present: string;

  constructor(storage: Storage, { future, present }: { future: string; present: string }) {
    this.#storage = storage;
    this.#future = canonicalLocation(future);
    this.#present = present;
  }

  /** The present location of the file. */
  present(location: string): string {
    const canonical = canonicalLocation(location);
    if (canonical === this.#future || canonical.startsWith(`${this.#future}/`))
      return this.#present + canonical.slice(this.#future.length);
    return location;
  }

  read(location: string): Promise<Uint8Array> {
    return this.#storage.read(this.present(location));
  }

  readPieces(location: string): AsyncIterable<Uint8Array> {
    return this.#storage.readPieces(this.present(location));
  }

  statOf(location: string): Promise<FileStat | null> {
    return this.#storage.statOf(this.present(location));
  }

  write(location: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    return this.#storage.write(this.present(location), bytes);
  }

  makeFolder(location: string): Promise<void> {
    return this.#storage.makeFolder(this.present(location));
  }

  sync(location: string): Promise<void> {
    return this.#storage.sync(this.present(location));
  }

  syncAll(locations: readonly string[]): Promise<void> {
    return this.#storage.syncAll(locations.map((location) => this.present(location)));
  }

  isKnownDurable(location: string): boolean {
    return this.#storage.isKnownDurable(this.present(location));
  }

  removeFolder(location: string): Promise<void> {
    return this.#storage.removeFolder(this.present(location));
  }

  delete(location: string): Promise<void> {
    return this.#storage.delete(this.present(location));
  }

  async *list(location: string): AsyncIterable<{ location: string } & FileStat> {
    const asked = this.present(location);
    for await (const file of this.#storage.list(asked))
      yield { ...file, location: location.replace(/\/+$/, "") + file.location.slice(asked.replace(/\/+$/, "").length) };
  }
}
