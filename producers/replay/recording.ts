import type { SourceRecord } from "../../src/producer/producer.ts";

/** An open recorded file: its number of records, and an iterator over the records from any number. */
export interface Recording {
  total: number;
  /**
   * The records from number `from`, in replay order, in batches of at most MAX_CHUNK_RECORDS. Their `ingested_at_us` is
   * the replay's clock. The same file yields the same records, byte for byte, on every read.
   */
  records(from: number): AsyncIterable<SourceRecord[]>;
}

/** Maximum records per append at full speed: few enough to remain prompt, enough to share an fsync. */
export const MAX_CHUNK_RECORDS = 1000;

/** The record of a line that cannot be read: its unmodified bytes. Silver rejects it with a reason. */
export function unreadable(bytes: Uint8Array, clock_us: number): SourceRecord {
  return { key: "unreadable", source: "replay", payload: bytes, ingested_at_us: clock_us };
}

/** Maximum bytes per append, exceeded by at most one record, so that long lines do not accumulate in memory. */
export const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
