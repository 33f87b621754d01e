import { createHash, type Hash } from "node:crypto";
import { stat } from "node:fs/promises";
import { OperatingError, messageOf } from "../../src/base/errors.ts";
import { isCandleHeader, openCandles } from "./candles.ts";
import { jsonLines } from "./json-lines.ts";
import { openLineRecords } from "./line-records.ts";
import { contentOf, linesOf, type Damage, type Line } from "./lines.ts";
import type { Recording } from "./recording.ts";
import { isWebsocketRecording, websocketRecording } from "./websocket-recording.ts";

export interface OpenedFile {
  recording: Recording;
  damage: Damage;
  /** SHA-256 of the decompressed content. */
  sha256: string;
  size_bytes: number;
  modified_ms: number;
}

/**
 * Reads the whole file once. Throws the errors of `inspect`, FILE_TOO_LARGE, FILE_FORMAT_UNKNOWN, TIME_UNITS_MIXED or
 * TIME_OUT_OF_RANGE.
 */
export async function openFile(file: string): Promise<OpenedFile> {
  const { size_bytes, modified_ms } = await inspect(file);
  const damage: Damage = { message: null };
  const hash = createHash("sha256");
  const lines = (): AsyncIterable<Line[]> => linesOf(contentOf(file, damage), damage);
  const hashedLines = (): AsyncIterable<Line[]> => linesOf(hashed(contentOf(file, damage), hash), damage);
  try {
    const first = await firstLine(lines());
    if (first === null) throw empty(file, damage);
    const fallback_us = Math.floor(modified_ms) * 1000;
    const is_candles = isCandleHeader(first);
    const is_session = isWebsocketRecording(first);
    if (!is_candles && !is_session && !looksLikeRecords(file, first)) throw unknownFormat(file);
    const recording = is_candles
      ? await openCandles(hashedLines(), fallback_us)
      : await openLineRecords(is_session ? websocketRecording : jsonLines, hashedLines(), lines, fallback_us);
    return { recording, damage, sha256: hash.digest("hex"), size_bytes, modified_ms };
  } catch (error) {
    throw error instanceof OperatingError ? error : unreadableFile(file, error);
  }
}

/** Throws FILE_NOT_FOUND, FILE_IS_FOLDER, FILE_NOT_READABLE or FILE_EMPTY. */
export async function inspect(file: string): Promise<{ size_bytes: number; modified_ms: number }> {
  let found;
  try {
    found = await stat(file);
  } catch (error) {
    const is_missing =
      error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
    if (!is_missing) throw unreadableFile(file, error);
    throw new OperatingError("FILE_NOT_FOUND", `File not found: ${file}`, {
      next_step: "Check the path given to replay:FILE.",
      cause: error,
    });
  }
  if (found.isDirectory()) {
    throw new OperatingError("FILE_IS_FOLDER", `${file} is a folder, not a file`, {
      next_step: "Give one of its files: replay:FILE.",
    });
  }
  if (!found.isFile()) throw unreadableFile(file, new Error("it is not a regular file"));
  if (found.size === 0) throw empty(file, { message: null });
  return { size_bytes: found.size, modified_ms: found.mtimeMs };
}

async function* hashed(content: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
}

async function firstLine(lines: AsyncIterable<Line[]>): Promise<Buffer | null> {
  for await (const [first] of lines) if (first !== undefined) return first.bytes;
  return null;
}

/** Whether the file holds raw records. If the first line is malformed, the file's name decides. */
function looksLikeRecords(file: string, first: Buffer): boolean {
  return first.toString("utf8").trimStart().startsWith("{") || /\.(jsonl|ndjson)(\.gz)?$/i.test(file);
}

function empty(file: string, damage: Damage): OperatingError {
  const message = damage.message === null ? `${file} is empty` : `Cannot decompress ${file}: ${damage.message}`;
  return new OperatingError("FILE_EMPTY", message, { next_step: "Download or record the file again." });
}

function unknownFormat(file: string): OperatingError {
  return new OperatingError(
    "FILE_FORMAT_UNKNOWN",
    `Unknown format of ${file}: expected candles as CSV, records as JSON lines, or a WebSocket session`,
    {
      next_step:
        'Start a candle file with the line "symbol,open_time_ms,open,high,low,close,volume", or give one ' +
        'object {"source", "ingested_at", "payload"} a line.',
    },
  );
}

function unreadableFile(file: string, cause: unknown): OperatingError {
  return new OperatingError("FILE_NOT_READABLE", `Cannot read ${file}: ${messageOf(cause)}`, {
    next_step: "Check the file's permissions and its disk.",
    cause,
  });
}
