import type { DatabaseSync } from "node:sqlite";

/** Another process holds the lock for the time of one append, about a millisecond. */
export const BUSY_RETRY_MS = 5;

/** `work` runs without a pause inside one write transaction: all of it or nothing. Throws busy when somebody else writes. */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } finally {
    if (database.isTransaction) database.exec("ROLLBACK");
  }
}
