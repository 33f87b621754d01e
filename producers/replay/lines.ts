import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createGunzip } from "node:zlib";

/**
 * A longer line is split into pieces of this size, each of which is then rejected as malformed: memory is bounded and
 * no byte is lost.
 */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export interface Line {
  /** Line number in the file, from 1; empty lines count. */
  number: number;
  /**
   * The line without its terminator (`
   * ` or `\r
   * `). Empty lines are omitted.
   */
  bytes: Buffer;
  /** The file ends inside this line, so the line may be incomplete. */
  is_torn: boolean;
}

/** Why a compressed file could be read only in part; set while the file is read. */
export interface Damage {
  message: string | null;
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

/**
 * A file's content in pieces, decompressed if it is gzip. A corrupt tail ends the content early and is noted in
 * `damage`.
 */
export async function* contentOf(path: string, damage: Damage): AsyncGenerator<Buffer> {
  const is_gzip = await isGzip(path);
  const file = createReadStream(path);
  const gunzip = createGunzip();
  file.on("error", (error) => gunzip.destroy(error));
  try {
    for await (const chunk of (is_gzip ? file.pipe(gunzip) : file) as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    if (!isDamage(error)) throw error;
    damage.message = error.message;
  } finally {
    file.destroy();
    gunzip.destroy();
  }
}

/** The lines of a content; each batch holds the lines that one piece of content completes. */
export async function* linesOf(content: AsyncIterable<Buffer>, damage: Damage): AsyncGenerator<Line[]> {
  let rest: Buffer[] = [];
  let rest_bytes = 0;
  let number = 1;
  for await (const chunk of content) {
    const lines: Line[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      rest.push(chunk.subarray(from, end));
      pushLine(lines, number, rest, false);
      rest = [];
      rest_bytes = 0;
      number += 1;
      from = end + 1;
    }
    if (from < chunk.length) {
      rest.push(chunk.subarray(from));
      rest_bytes += chunk.length - from;
    }
    if (rest_bytes >= MAX_LINE_BYTES) {
      pushLine(lines, number, rest, true);
      rest = [];
      rest_bytes = 0;
    }
    if (lines.length > 0) yield lines;
  }
  const last: Line[] = [];
  pushLine(last, number, rest, damage.message !== null);
  if (last.length > 0) yield last;
}

function pushLine(lines: Line[], number: number, pieces: Buffer[], is_torn: boolean): void {
  let bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  if (!is_torn && bytes.at(-1) === CARRIAGE_RETURN) bytes = bytes.subarray(0, -1);
  if (bytes.length > 0) lines.push({ number, bytes, is_torn });
}

function isDamage(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("Z_");
}
