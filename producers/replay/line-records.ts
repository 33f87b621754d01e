import { FileTimes, type EpochUnit } from "../../src/producer/epoch.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import type { Line } from "./lines.ts";
import { MAX_CHUNK_BYTES, MAX_CHUNK_RECORDS, unreadable, type Recording } from "./recording.ts";

/**
 * The parser of a file's lines. It is called for each line once, in order, because a line may determine the meaning of
 * later lines.
 */
export interface LineReader {
  /** False for a line that describes the recording, such as a heading. */
  isRecord(line: Line): boolean;
  /** Null if the line is malformed. */
  read(line: Line): TimedRecord | null;
}

/** A record with its time as written in the line, and the unit if the time is a count. */
export interface TimedRecord extends SourceRecord {
  time_text: string;
  time_unit: EpochUnit | null;
}

/**
 * Yields one record per line, in file order, with the recorded times. The file is read once to count its records and
 * again to replay it, so memory does not bound its size. Throws TIME_UNITS_MIXED or TIME_OUT_OF_RANGE. A malformed line
 * is passed unchanged, with the time of the last well-formed line above it (else of the first).
 */
export async function openLineRecords(
  readerOf: () => LineReader,
  lines: AsyncIterable<Line[]>,
  again: () => AsyncIterable<Line[]>,
  fallback_us: number,
): Promise<Recording> {
  const reader = readerOf();
  let total = 0;
  let first_us: number | null = null;
  const times = new FileTimes();
  for await (const some of lines) {
    for (const line of some) {
      if (!reader.isRecord(line)) continue;
      total += 1;
      const record = reader.read(line);
      if (record === null) continue;
      times.note(line.number, record.time_text, record.ingested_at_us, record.time_unit);
      first_us ??= record.ingested_at_us;
    }
  }
  times.check();
  return { total, records: (from) => readRecords(readerOf(), again(), from, first_us ?? fallback_us) };
}

async function* readRecords(
  reader: LineReader,
  lines: AsyncIterable<Line[]>,
  from: number,
  start_us: number,
): AsyncGenerator<SourceRecord[]> {
  let clock_us = start_us;
  let number = 0;
  let chunk: SourceRecord[] = [];
  let chunk_bytes = 0;
  for await (const some of lines) {
    for (const line of some) {
      if (!reader.isRecord(line)) continue;
      const record = recordOf(reader.read(line));
      clock_us = record?.ingested_at_us ?? clock_us;
      number += 1;
      if (number <= from) continue;
      chunk.push(record ?? unreadable(line.bytes, clock_us));
      chunk_bytes += line.bytes.length;
      if (chunk.length < MAX_CHUNK_RECORDS && chunk_bytes < MAX_CHUNK_BYTES) continue;
      yield chunk;
      chunk = [];
      chunk_bytes = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}

function recordOf(read: TimedRecord | null): SourceRecord | null {
  if (read === null) return null;
  const { key, source, payload, ingested_at_us } = read;
  return { key, source, payload, ingested_at_us };
}
