import { DatabaseSync } from "node:sqlite";
import type { PartitionBounds } from "../log.ts";

/**
 * A topic's bounds by partition, read from a log that no process has open, such as a copy; none where it lacks the
 * topic.
 */
export function boundsInFile(file: string, topic: string): PartitionBounds[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const rows = database
      .prepare(
        "select partition, begin_offset, end_offset from partition join topic using (topic_id) " +
          "where topic.name = ? order by partition",
      )
      .all(topic);
    return rows.map((row) => ({
      partition: Number(row["partition"]),
      begin: Number(row["begin_offset"]),
      end: Number(row["end_offset"]),
    }));
  } finally {
    database.close();
  }
}

/** Offsets of a partition, from `begin` up to but not including `end`. */
export type MissingRecords = PartitionBounds;

/**
 * The retained offsets of a topic for which the file has no segment: another program deleted them. One statement, so it
 * may run beside a writer.
 */
export function missingRecordsInFile(file: string, topic: string): MissingRecords[] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    const rows = database.prepare(MISSING).all(topic);
    return rows.map(({ partition, begin_offset, end_offset }) => ({
      partition: Number(partition),
      begin: Number(begin_offset),
      end: Number(end_offset),
    }));
  } finally {
    database.close();
  }
}

const BUSY_TIMEOUT_MS = 5_000;

/** The gap before each segment, and the one after the last. */
const MISSING = `
  with
    bounds as (
      select topic_id, partition, begin_offset, end_offset from partition join topic using (topic_id) where name = ?
    ),
    pieces as (
      select partition, segment.end_offset - record_count as first_offset, segment.end_offset as next_offset
      from bounds join segment using (topic_id, partition)
      union all
      select partition, end_offset, end_offset from bounds
    ),
    gaps as (
      select partition, first_offset as end_offset,
        max(
          begin_offset,
          coalesce(lag(next_offset) over (partition by partition order by next_offset, first_offset), 0)
        ) as begin_offset
      from pieces join (select partition, begin_offset from bounds) using (partition)
    )
  select partition, begin_offset, end_offset from gaps where begin_offset < end_offset order by 1, 2`;
