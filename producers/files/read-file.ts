import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { OperatingError } from "../../src/base/errors.ts";
import type { Batch } from "../../src/producer/producer.ts";
import type { Folder } from "./folder.ts";
import type { FilePosition } from "./position.ts";
import { FileRecords, type FileOfRecords, type FileRecord } from "./source-record.ts";
import { Splitter, type Piece } from "./splitter.ts";

/** Larger than zlib's 16 KiB, so that a large element consists of few chunks. */
const GUNZIP_CHUNK_BYTES = 256 * 1024;

/** The pieces of a decompressed content up to this size are kept, so that the file is read and split once. */
const KEPT_BYTES = 1024 * 1024;
const KEPT_PIECES = 10_000;

/** Records of a batch beyond one, so that several share an fsync. */
const BATCH_BYTES = 1024 * 1024;

/** What the first pass over a file finds. */
export interface FileContent {
  /** SHA-256 of the bytes as stored, hexadecimal. */
  digest: string;
  /** The content is empty, or ends inside an element, an array or a compressed stream. */
  is_incomplete: boolean;
  /** Why the content could be decompressed only in part; null otherwise. */
  damage: string | null;
  /** The pieces of a small file; null for a file that has to be read again. */
  pieces: readonly Piece[] | null;
}

/** Reads a file through once, in bounded memory. Throws FILE_CHANGED and the errors of the storage. */
export async function inspectFile(folder: Folder, name: string): Promise<FileContent> {
  let pieces: Piece[] | null = [];
  const splitter = new Splitter((piece) => pieces?.push(piece));
  const reading = new FileReading(folder, name);
  let size_bytes = 0;
  for await (const chunk of reading.chunks()) {
    splitter.push(chunk);
    size_bytes += chunk.length;
    if (size_bytes > KEPT_BYTES || (pieces?.length ?? 0) > KEPT_PIECES) pieces = null;
  }
  const { damage } = reading;
  const is_incomplete = splitter.is_incomplete || damage !== null;
  const before = pieces?.length;
  splitter.end();
  if (damage !== null && pieces?.length === before) pieces?.push(missingRest(damage));
  return { digest: await reading.digest(), is_incomplete, damage, pieces };
}

/** How far a content is in the log. */
export interface Progress {
  /** Null before the file was read once. */
  digest: string | null;
  next_element: number;
  /** The log holds a batch of this reading. */
  is_started: boolean;
}

/**
 * The second pass: the records of a file from `progress.next_element` on, which it advances after each batch. Throws
 * FILE_CHANGED if the file has another content than in the first pass, and the errors of the storage.
 */
export async function* batchesOf(
  folder: Folder,
  content: FileContent,
  of: FileOfRecords,
  progress: Progress,
  now_us: () => number,
): AsyncGenerator<Batch> {
  const { digest } = content;
  const records = new FileRecords(of, progress.next_element, now_us);
  let waiting: FileRecord[] = [];
  async function* give(given: readonly FileRecord[], is_done: boolean): AsyncGenerator<Batch> {
    const next_element = given.at(-1)?.next_element ?? progress.next_element;
    const position = { digest, file: of.file, next_element, is_done } satisfies FilePosition;
    yield { records: given.map(({ record }) => record), position: JSON.stringify(position) };
    // The log holds the batch once the next one is requested.
    progress.next_element = next_element;
    progress.is_started = true;
  }
  if (content.pieces !== null) for (const piece of content.pieces) records.add(piece);
  else {
    const splitter = new Splitter((piece) => records.add(piece));
    const reading = new FileReading(folder, of.file);
    for await (const chunk of reading.chunks()) {
      splitter.push(chunk);
      waiting.push(...records.take());
      if (waiting.length < 2 || sizeOf(waiting) < BATCH_BYTES) continue;
      // The last record waits for the end of the file, to say in its position that the file is done.
      yield* give(waiting.slice(0, -1), false);
      waiting = waiting.slice(-1);
    }
    const before = records.elements;
    splitter.end();
    if (reading.damage !== null && records.elements === before) records.add(missingRest(reading.damage));
    if ((await reading.digest()) !== digest) throw fileChanged(of.file);
  }
  records.end();
  waiting.push(...records.take());
  if (waiting.length > 0) yield* give(waiting, true);
  progress.next_element = records.elements;
}

function sizeOf(records: readonly FileRecord[]): number {
  return records.reduce((sum, { record }) => sum + record.payload.length, 0);
}

/** The piece in place of the elements that a damaged compressed stream no longer has. */
function missingRest(damage: string): Piece {
  return { bytes: Buffer.alloc(0), size_bytes: 0, reason: `the compressed content ends here: ${damage}` };
}

function fileChanged(name: string): OperatingError {
  return new OperatingError("FILE_CHANGED", `${name} was changed while it was read`, {
    next_step: "Nothing to do: it is read again once it has settled.",
  });
}

/**
 * One pass over a file: its chunks, decompressed where they are gzip, then its digest. A damaged compressed stream
 * ends the chunks early.
 */
export class FileReading {
  readonly #folder: Folder;
  readonly #name: string;
  readonly #hash = createHash("sha256");
  #read_bytes = 0;
  #is_read_whole = false;
  /** Why decompression stopped early; set while the chunks are read. */
  damage: string | null = null;

  constructor(folder: Folder, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const stored = this.#stored();
    const first = await stored.next();
    if (first.done === true) return;
    const all = resumed(first.value, stored);
    if (!isGzip(first.value)) {
      yield* all;
      return;
    }
    const source = Readable.from(all, { objectMode: false });
    const gunzip = createGunzip({ chunkSize: GUNZIP_CHUNK_BYTES });
    source.on("error", (error) => gunzip.destroy(error));
    try {
      for await (const chunk of source.pipe(gunzip) as AsyncIterable<Buffer>) yield chunk;
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.damage = error.message;
    } finally {
      source.destroy();
      gunzip.destroy();
    }
  }

  /** SHA-256 of the bytes as stored. Call it after the last chunk. Throws FILE_CHANGED. */
  async digest(): Promise<string> {
    if (this.#is_read_whole) return this.#hash.digest("hex");
    // Decompression stopped before the end of the file: at damage, or at bytes after the compressed stream.
    const whole = createHash("sha256");
    const same_part = createHash("sha256");
    let left_bytes = this.#read_bytes;
    for await (const chunk of this.#pieces()) {
      whole.update(chunk);
      same_part.update(chunk.subarray(0, left_bytes));
      left_bytes = Math.max(0, left_bytes - chunk.length);
    }
    // Otherwise the records of one content would count as those of another, which would never be read.
    if (same_part.digest("hex") !== this.#hash.digest("hex")) throw fileChanged(this.#name);
    return whole.digest("hex");
  }

  async *#stored(): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#pieces()) {
      this.#hash.update(chunk);
      this.#read_bytes += chunk.length;
      yield chunk;
    }
    this.#is_read_whole = true;
  }

  #pieces(): AsyncIterable<Uint8Array> {
    return this.#folder.storage.readPieces(this.#folder.locationOf(this.#name));
  }
}

async function* resumed(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function isDamage(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("Z_");
}
