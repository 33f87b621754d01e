import { OperatingError } from "../../base/errors.ts";
import type { SourceRecord } from "../../producer/producer.ts";
import type { LogRecord } from "../log.ts";

/**
 * A segment: consecutive records of one partition as one row, as Kafka keeps record batches. A row per record would
 * cost six times the time to read and twice the time to append.
 *
 *   strings   JSON array of the distinct sources and keys
 *   index     per record, little-endian: ingested_at_us f64, payload length u32, source u32, key u32; the last two are
 *             positions in strings
 *   payloads  the payloads, one after the other
 */
export interface EncodedSegment {
  record_count: number;
  max_ingested_at_us: number;
  strings: string;
  index: Uint8Array;
  payloads: Uint8Array;
}

const ENTRY_BYTES = 8 + 4 + 4 + 4;

/** Limits the memory of one read beyond the read's own limits; a larger record gets a separate segment. */
export const SEGMENT_MAX_BYTES = 1024 * 1024;
export const SEGMENT_MAX_RECORDS = 4096;

/** Splits records, in order, into groups that fit a segment. Pure. */
export function cutIntoSegments(records: readonly SourceRecord[]): SourceRecord[][] {
  const pieces: SourceRecord[][] = [];
  let piece: SourceRecord[] = [];
  let size_bytes = 0;
  for (const record of records) {
    const is_full = size_bytes + record.payload.length > SEGMENT_MAX_BYTES || piece.length === SEGMENT_MAX_RECORDS;
    if (is_full && piece.length > 0) {
      pieces.push(piece);
      piece = [];
      size_bytes = 0;
    }
    piece.push(record);
    size_bytes += record.payload.length;
  }
  if (piece.length > 0) pieces.push(piece);
  return pieces;
}

/** Pure. `records` is not empty. */
export function encodeSegment(records: readonly SourceRecord[]): EncodedSegment {
  const positions = new Map<string, number>();
  const positionOf = (text: string): number => {
    let position = positions.get(text);
    if (position === undefined) positions.set(text, (position = positions.size));
    return position;
  };
  const index = new Uint8Array(records.length * ENTRY_BYTES);
  const view = new DataView(index.buffer);
  const payloads = new Uint8Array(records.reduce((bytes, record) => bytes + record.payload.length, 0));
  let at = 0;
  let filled_bytes = 0;
  let max_ingested_at_us = -Infinity;
  for (const { ingested_at_us, payload, source, key } of records) {
    view.setFloat64(at, ingested_at_us, true);
    view.setUint32(at + 8, payload.length, true);
    view.setUint32(at + 12, positionOf(source), true);
    view.setUint32(at + 16, positionOf(key), true);
    at += ENTRY_BYTES;
    payloads.set(payload, filled_bytes);
    filled_bytes += payload.length;
    max_ingested_at_us = Math.max(max_ingested_at_us, ingested_at_us);
  }
  return {
    record_count: records.length,
    max_ingested_at_us,
    strings: JSON.stringify([...positions.keys()]),
    index,
    payloads,
  };
}

export interface SegmentRow {
  partition: number;
  first_offset: number;
  strings: string;
  index: Uint8Array;
  payloads: Uint8Array;
}

/**
 * Appends to `records` the segment's records from `from_offset` on, until `is_enough` returns true after one of them;
 * returns whether it did. Payloads are views of the segment's bytes. Throws LOG_CORRUPT when the lengths do not add up.
 */
export function decodeSegment(
  row: SegmentRow,
  from_offset: number,
  records: LogRecord[],
  isEnough: (record: LogRecord) => boolean,
): boolean {
  const { partition, first_offset, index, payloads } = row;
  const strings = JSON.parse(row.strings) as string[];
  const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
  let payload_at = 0;
  for (let at = 0, offset = first_offset; at < index.length; at += ENTRY_BYTES, offset += 1) {
    const payload_end = payload_at + view.getUint32(at + 8, true);
    const source = strings[view.getUint32(at + 12, true)];
    const key = strings[view.getUint32(at + 16, true)];
    if (payload_end > payloads.length || source === undefined || key === undefined) throw corrupt(row);
    if (offset >= from_offset) {
      const payload = payloads.subarray(payload_at, payload_end);
      const record = { key, source, payload, ingested_at_us: view.getFloat64(at, true), partition, offset };
      records.push(record);
      if (isEnough(record)) return true;
    }
    payload_at = payload_end;
  }
  return false;
}

/** The number of leading records below `before_offset` that were ingested before `before_us`. */
export function countPrunable(
  first_offset: number,
  index: Uint8Array,
  before_offset: number,
  before_us: number,
): number {
  const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
  const limit = Math.min(index.length / ENTRY_BYTES, before_offset - first_offset);
  let count = 0;
  while (count < limit && view.getFloat64(count * ENTRY_BYTES, true) < before_us) count += 1;
  return count;
}

function corrupt({ partition, first_offset }: SegmentRow): OperatingError {
  return new OperatingError("LOG_CORRUPT", `The segment at partition ${partition}, offset ${first_offset} is damaged`, {
    next_step: "Restore the log's file from a copy; bronze holds every record up to its committed offsets.",
  });
}
