import type { DatabaseSync, StatementSync } from "node:sqlite";

const SQL = {
  get_topic: "SELECT topic_id, partitions FROM topic WHERE name = ?",
  insert_topic: "INSERT INTO topic (name, partitions) VALUES (?, ?)",
  insert_partition: "INSERT INTO partition (topic_id, partition) VALUES (?, ?)",
  list_bounds: "SELECT partition, begin_offset, end_offset FROM partition WHERE topic_id = ? ORDER BY partition",
  advance_end:
    "UPDATE partition SET end_offset = end_offset + ? WHERE topic_id = ? AND partition = ? RETURNING end_offset",
  advance_begin: "UPDATE partition SET begin_offset = ? WHERE topic_id = ? AND partition = ?",
  insert_segment: `
    INSERT INTO segment
      (topic_id, partition, end_offset, record_count, max_ingested_at_us, strings, record_index, payloads)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  read_segments: `
    SELECT end_offset - record_count, strings, record_index, payloads FROM segment
    WHERE topic_id = ? AND partition = ? AND end_offset > ? ORDER BY end_offset`,
  list_segments: `
    SELECT end_offset, record_count, max_ingested_at_us FROM segment
    WHERE topic_id = ? AND partition = ? AND end_offset > ? ORDER BY end_offset LIMIT ?`,
  get_index: "SELECT record_index FROM segment WHERE topic_id = ? AND partition = ? AND end_offset = ?",
  delete_segments: "DELETE FROM segment WHERE topic_id = ? AND partition = ? AND end_offset <= ?",
  page_count: "PRAGMA page_count",
  free_pages: "PRAGMA freelist_count",
  get_position: "SELECT position FROM position WHERE topic_id = ? AND producer = ?",
  put_position: `
    INSERT INTO position (topic_id, producer, position) VALUES (?, ?, ?)
    ON CONFLICT (topic_id, producer) DO UPDATE SET position = excluded.position`,
} as const;

export type Statements = Record<keyof typeof SQL, StatementSync>;

export function prepareStatements(database: DatabaseSync): Statements {
  const statements = Object.fromEntries(
    Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]),
  ) as Statements;
  // The hot path: an object per row would cost more than the row.
  statements.read_segments.setReturnArrays(true);
  return statements;
}
