import { createHash } from "node:crypto";
import type { Storage } from "./storage.ts";

export interface FileDigest {
  size_bytes: number;
  /** Hexadecimal, lower case. */
  sha256: string;
}

/** Computes the digest of a file from its chunks. */
export class Digest {
  readonly #hash = createHash("sha256");
  #size_bytes = 0;

  /** Returns the chunk. */
  add(piece: Uint8Array): Uint8Array {
    this.#hash.update(piece);
    this.#size_bytes += piece.length;
    return piece;
  }

  end(): FileDigest {
    return { size_bytes: this.#size_bytes, sha256: this.#hash.digest("hex") };
  }
}

/** The digest of a file, read in chunks. Throws the errors of the storage. */
export async function digestOf(storage: Storage, location: string): Promise<FileDigest> {
  const digest = new Digest();
  // Some engines write a path instead of a URI.
  const pieces = storage.readPieces(location.startsWith("/") ? `file://${location}` : location);
  for await (const piece of pieces) digest.add(piece);
  return digest.end();
}
