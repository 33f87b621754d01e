import type { SourceRecord } from "../producer/producer.ts";

export interface LogRecord extends SourceRecord {
  partition: number;
  /** Offsets are gapless per partition and start at 0. */
  offset: number;
}

export interface PartitionBounds {
  partition: number;
  /** Offset of the oldest retained record. */
  begin: number;
  /** Offset of the next record to be appended. */
  end: number;
}

export interface ReadLimits {
  max_records: number;
  /** Reading stops after the record that reaches the limit, so that one oversized record can be read. */
  max_bytes: number;
}

/**
 * The durable log. The contract test of every implementation checks the invariants:
 *  - `append` resolves after its records and the producer's position are on disk (fsync);
 *  - offsets of a partition are gapless and never reused, also after pruning;
 *  - records of one key are in one partition, in append order;
 *  - a failed append leaves nothing behind. A remote log's outcome may be unknown: the append then throws
 *    APPEND_UNCERTAIN, and the records may exist without the position, but never the position without its records.
 */
export interface Log {
  /** Creates the topic if it is new; rejects a different number of partitions. */
  createTopic(topic: string, partitions: number): Promise<void>;
  append(
    topic: string,
    records: readonly SourceRecord[],
    checkpoint?: { producer: string; position: string },
  ): Promise<void>;
  /** Records from `offset` on, in order; empty at the end. Throws OFFSET_PRUNED below `begin`. */
  read(topic: string, partition: number, offset: number, limits: ReadLimits): Promise<LogRecord[]>;
  bounds(topic: string): Promise<PartitionBounds[]>;
  /** The producer's last durable position in this topic. */
  position(topic: string, producer: string): Promise<string | null>;
  /** Deletes records below `before_offset` that were ingested before `before_us`; returns their number. */
  prune(topic: string, partition: number, before_offset: number, before_us: number): Promise<number>;
  /** Resolves when records past the given end exist, or the signal aborts. */
  waitForAppend(topic: string, ends: readonly PartitionBounds[], signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
