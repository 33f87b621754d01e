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
        "select partition, begin_offset, end_offset from partition join topic using (topic_id) where topic.name = ? order by partition",
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
