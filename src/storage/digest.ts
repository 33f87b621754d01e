import { createHash } from "node:crypto";
import type { Storage } from "./storage.ts";

export interface FileDigest {
  size_bytes: number;
  /** Hexadecimal, lower case. */
  sha256: string;
}

/** Of a file that passes by in pieces. */
export class Digest {
  readonly #hash = createHash("sha256");
  #size_bytes = 0;

  /** Returns the piece. */
  add(piece: Uint8Array): Uint8Array {
    this.#hash.update(piece);
    this.#size_bytes += piece.length;
    return piece;
  }

  end(): FileDigest {
    return { size_bytes: this.#size_bytes, sha256: this.#hash.digest("hex") };
  }
}

/** A file on this disk is read in pieces of any number; an object is read whole. Throws what the storage throws. */
export async function digestOf(storage: Storage, location: string): Promise<FileDigest> {
  const digest = new Digest();
  // Some engines write a path.
  const pieces = storage.readPieces(location.startsWith("/") ? `file://${location}` : location);
  for await (const piece of pieces) digest.add(piece);
  return digest.end();
}
