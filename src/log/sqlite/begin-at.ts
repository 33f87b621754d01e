import { openLogFile } from "./file.ts";
import { transact } from "../../base/sqlite.ts";

/**
 * Creates a log without records whose partitions begin at the given offsets, to replace a lost log. The file must not
 * exist.
 */
export function makeLogFile(file: string, topic: string, begins: ReadonlyMap<number, number>): void {
  const database = openLogFile(file, undefined, LOG_BUSY_MS);
  try {
    transact(database, () => {
      const { lastInsertRowid } = database
        .prepare("INSERT INTO topic (name, partitions) VALUES (?, ?)")
        .run(topic, begins.size);
      const insert = database.prepare(
        "INSERT INTO partition (topic_id, partition, begin_offset, end_offset) VALUES (?, ?, ?, ?)",
      );
      for (const [partition, begin] of begins) insert.run(lastInsertRowid, partition, begin, begin);
    });
    // Moves everything from the WAL into the file itself for later readers.
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}

const LOG_BUSY_MS = 5_000;
