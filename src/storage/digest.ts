import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { OperatingError } from "../errors.ts";
import { pathOfLocation } from "./file/location.ts";
import type { Storage } from "./storage.ts";

export interface FileDigest {
  size_bytes: number;
  /** Hexadecimal, lower case. */
  sha256: string;
}

const CHUNK_BYTES = 256 * 1024;

/** A file on this disk is read in pieces of any number; an object is read whole. Throws what the storage throws. */
export async function digestOf(storage: Storage, location: string): Promise<FileDigest> {
  const hash = createHash("sha256");
  let size_bytes = 0;
  for await (const bytes of piecesOf(storage, location)) {
    hash.update(bytes);
    size_bytes += bytes.length;
  }
  return { size_bytes, sha256: hash.digest("hex") };
}

async function* piecesOf(storage: Storage, location: string): AsyncIterable<Uint8Array> {
  if (!/^(file:|\/)/.test(location)) {
    yield await storage.read(location);
    return;
  }
  // Opening a pipe would wait for its writer: the storage has the words for what is no regular file.
  if ((await storage.statOf(location)) === null) {
    yield await storage.read(location);
    return;
  }
  const path = pathOfLocation(location.startsWith("/") ? `file://${location}` : location);
  try {
    for await (const bytes of createReadStream(path, { highWaterMark: CHUNK_BYTES })) yield bytes as Uint8Array;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    // The storage has the words for what is wrong with the file.
    await storage.read(location);
    throw new OperatingError("STORAGE_FAILED", `Could not read ${location}: ${(error as Error).message}`, {
      next_step: "Check the disk, then try again.",
      is_retryable: true,
      cause: error,
    });
  }
}
