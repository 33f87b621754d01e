import { OperatingError } from "../base/errors.ts";
import { Digest, digestOf, type FileDigest } from "../storage/digest.ts";
import type { Storage } from "../storage/storage.ts";

/** Expected size and checksum of a file; null where unknown. */
export interface Expected {
  size_bytes: number | null;
  sha256: string | null;
}

/** A table file that is read in chunks and compared with the size in the metadata and the checksum in the catalog. */
export class CheckedFile {
  readonly #storage: Storage;
  readonly #location: string;
  readonly #expected: Expected;
  #digest: FileDigest | null = null;

  constructor(storage: Storage, location: string, expected: Expected) {
    this.#storage = storage;
    this.#location = location;
    this.#expected = expected;
  }

  /** The digest of the file, available once it was read to its end. */
  get digest(): FileDigest {
    if (this.#digest === null) throw new TypeError(`${this.#location} was not read to its end`);
    return this.#digest;
  }

  /** Null if the file does not exist. */
  async size(): Promise<number | null> {
    return this.#expected.size_bytes ?? (await this.#storage.statOf(this.#location))?.size_bytes ?? null;
  }

  /** Throws TABLE_FILE_DAMAGED, FILE_NOT_FOUND. */
  async check(): Promise<void> {
    this.#end(await digestOf(this.#storage, this.#location));
  }

  /** Throws FILE_NOT_FOUND, and TABLE_FILE_DAMAGED at the end, so that a writer of the chunks completes no file. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const digest = new Digest();
    for await (const piece of this.#storage.readPieces(this.#location)) yield digest.add(piece);
    this.#end(digest.end());
  }

  #end(digest: FileDigest): void {
    const { size_bytes, sha256 } = this.#expected;
    if (size_bytes !== null && digest.size_bytes !== size_bytes) {
      throw damaged(`${this.#location} has ${digest.size_bytes} bytes; the table's metadata expects ${size_bytes}`);
    }
    if (sha256 !== null && digest.sha256 !== sha256)
      throw damaged(`${this.#location} has changed since its commit: its checksum differs`);
    this.#digest = digest;
  }
}

function damaged(message: string): OperatingError {
  return new OperatingError("TABLE_FILE_DAMAGED", message, {
    next_step: "Run `npm run -s coinlake -- verify` to find the damage; earlier backups are unchanged.",
  });
}
