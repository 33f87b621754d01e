import type { SourceRecord } from "../../src/producer/producer.ts";

/** A recorded file, opened: how many records it gives, and the records from any of them on. */
export interface Recording {
  total: number;
  /**
   * Records number `from` and later, in the order of the replay, some at a time (at most MAX_CHUNK_RECORDS). Their
   * `ingested_at_us` is the replay's clock. The same file gives the same records, byte for byte, whenever it is read.
   */
  records(from: number): AsyncIterable<SourceRecord[]>;
}

/**
 * As fast as the log takes it, one append carries so many records: few enough to stay prompt, enough to share an fsync.
 */
export const MAX_CHUNK_RECORDS = 1000;

/**
 * What a line that cannot be read becomes: its bytes go to the log like any record, where the pipeline refuses them by
 * name.
 */
export function unreadable(bytes: Uint8Array, clock_us: number): SourceRecord {
  return { key: "unreadable", source: "replay", payload: bytes, ingested_at_us: clock_us };
}

/** And no more bytes than this, give or take a record: long lines must not pile up in memory. */
export const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
