import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { openSqliteFile, sqliteFailure, transact, type SqliteFormat } from "../base/sqlite.ts";
import type { ActionName, ActionReport, PendingFiles } from "./parts.ts";

/** A recorded action on one table. Times are ISO 8601, UTC. */
export interface MaintenanceRun extends ActionReport {
  id: number;
  started_at: string;
}

export const MAINTENANCE_FORMAT: SqliteFormat = {
  prefix: "MAINTENANCE",
  name: "the record of maintenance",
  application_id: 0x434c4d54,
  version: 1,
  tables: `
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY, started_at TEXT NOT NULL, action TEXT NOT NULL, table_name TEXT NOT NULL,
      report TEXT NOT NULL
    ) STRICT;
    CREATE INDEX runs_by_table ON runs (table_name, id);
    CREATE TABLE pending_files (location TEXT PRIMARY KEY, table_name TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX pending_by_table ON pending_files (table_name);
  `,
  failures: {
    CORRUPT: [
      "Move the file away; the next run creates a new one. It holds statistics of earlier runs and the " +
        "leftovers of killed ones.",
      false,
    ],
    DISK_FULL: ["Free a megabyte on the disk, then run `maintain expire` to free more.", true],
  },
};

const FILE_NAME = "maintenance.db";
/** Number of recorded runs: about a week of ten tables at default settings. */
const MAX_RUNS = 5_000;
const BUSY_TIMEOUT_MS = 5_000;

export interface RunsRequest {
  table?: string;
  action?: ActionName;
  limit?: number;
  /** Only runs recorded before the one with this id. */
  before_id?: number;
}

/** The recorded runs of a lake, newest first. Throws MAINTENANCE_… errors. */
export function recordedRuns(lake_folder: string, request: RunsRequest): MaintenanceRun[] {
  // Opening a missing file would create it.
  if (!existsSync(join(lake_folder, FILE_NAME))) return [];
  const store = new MaintenanceStore(lake_folder);
  try {
    return store.runs(request);
  } finally {
    store.close();
  }
}

/**
 * Recorded runs and pending deletions: `maintenance.db` in the lake's folder. Throws MAINTENANCE_… errors.
 */
export class MaintenanceStore implements PendingFiles {
  readonly #file: string;
  readonly #database: DatabaseSync;

  constructor(lake_folder: string) {
    this.#file = join(lake_folder, FILE_NAME);
    // Only one process maintains a lake; readers wait milliseconds for its transactions.
    this.#database = openSqliteFile(this.#file, MAINTENANCE_FORMAT, { busy_timeout_ms: BUSY_TIMEOUT_MS });
    this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }

  record(started_at: string, report: ActionReport): void {
    this.#write(() => {
      this.#prepare("INSERT INTO runs (started_at, action, table_name, report) VALUES (?, ?, ?, ?)").run(
        started_at,
        report.action,
        report.table,
        JSON.stringify(report),
      );
      this.#prepare("DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ?").run(MAX_RUNS);
    });
  }

  /** Newest first. */
  runs({ table, action, limit = 100, before_id }: RunsRequest = {}): MaintenanceRun[] {
    const rows = this.#read(
      `SELECT id, started_at, report FROM runs
       WHERE (?1 IS NULL OR table_name = ?1) AND (?2 IS NULL OR action = ?2) AND (?4 IS NULL OR id < ?4)
       ORDER BY id DESC LIMIT ?3`,
      [table ?? null, action ?? null, limit, before_id ?? null],
    );
    return rows.map((row) => ({
      id: Number(row["id"]),
      started_at: String(row["started_at"]),
      ...(JSON.parse(String(row["report"])) as ActionReport),
    }));
  }

  add(table: string, locations: readonly string[]): void {
    this.#write(() => {
      const insert = this.#prepare("INSERT OR IGNORE INTO pending_files (location, table_name) VALUES (?, ?)");
      for (const location of locations) insert.run(location, table);
    });
  }

  remove(locations: readonly string[]): void {
    this.#write(() => {
      const remove = this.#prepare("DELETE FROM pending_files WHERE location = ?");
      for (const location of locations) remove.run(location);
    });
  }

  of(table: string): string[] {
    return this.#read("SELECT location FROM pending_files WHERE table_name = ?", [table]).map((row) =>
      String(row["location"]),
    );
  }

  pendingTables(): string[] {
    return this.#read("SELECT DISTINCT table_name FROM pending_files", []).map((row) => String(row["table_name"]));
  }

  close(): void {
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  #read(sql: string, values: readonly (string | number | null)[]): Record<string, unknown>[] {
    try {
      return this.#prepare(sql).all(...values);
    } catch (error) {
      throw sqliteFailure(this.#file, MAINTENANCE_FORMAT, "read", error);
    }
  }

  #write(work: () => void): void {
    try {
      transact(this.#database, work);
    } catch (error) {
      throw sqliteFailure(this.#file, MAINTENANCE_FORMAT, "write", error);
    }
  }
}
