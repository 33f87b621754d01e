import { openLogFile } from "./file.ts";
import { transact } from "../../base/sqlite.ts";

/**
 * A log without records whose partitions begin at the offsets given, in place of one that is lost. The file must not
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
    // Later readers find all of it in the file itself.
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}

const LOG_BUSY_MS = 5_000;
