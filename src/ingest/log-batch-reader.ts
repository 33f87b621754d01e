import type { Log, LogRecord, PartitionBounds, ReadLimits } from "../log/log.ts";
import type { PartitionOffsets } from "../log/offsets.ts";

/** Limits of one read, which blocks the event loop for about a millisecond and leaves only short-lived garbage. */
const READ_LIMITS: ReadLimits = { max_records: 2048, max_bytes: 1024 * 1024 };

/** Progress of a read; the next read starts at the offsets `next`. */
export interface ReadProgress {
  next: Map<number, number>;
  record_count: number;
  size_bytes: number;
}

/**
 * Yields records from `from` up to the given ends, partition by partition in offset order, up to about `max_bytes` of
 * payload. Each partition gets an equal share of the remaining bytes, so that none starves. Updates `progress` as
 * batches are consumed.
 */
export async function* readLogBatches(
  log: Log,
  topic: string,
  from: PartitionOffsets,
  ends: readonly PartitionBounds[],
  max_bytes: number,
  progress: ReadProgress,
): AsyncGenerator<LogRecord[]> {
  const pending = ends.filter(({ partition, end }) => (from.get(partition) ?? end) < end);
  for (const [position, { partition, end }] of pending.entries()) {
    const share_bytes = (max_bytes - progress.size_bytes) / (pending.length - position);
    const stop_bytes = progress.size_bytes + Math.max(1, share_bytes);
    let offset = from.get(partition) ?? end;
    while (offset < end && progress.size_bytes < stop_bytes) {
      const max_records = Math.min(READ_LIMITS.max_records, end - offset);
      const batch = await log.read(topic, partition, offset, {
        max_records,
        max_bytes: Math.min(READ_LIMITS.max_bytes, stop_bytes - progress.size_bytes),
      });
      if (batch.length === 0) break;
      offset += batch.length;
      progress.record_count += batch.length;
      progress.size_bytes += batch.reduce((bytes, { payload }) => bytes + payload.length, 0);
      progress.next.set(partition, offset);
      yield batch;
    }
  }
}
