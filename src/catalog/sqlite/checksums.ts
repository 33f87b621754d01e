import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ChecksumStore, FileChecksum } from "../checksums.ts";
import { openDatabase, transact } from "./database.ts";

const TABLE = `
  create table if not exists file_checksums (
    location text primary key,
    size_bytes integer not null,
    sha256 text not null,
    taken_by text not null
  ) strict, without rowid;
`;

const SQL = {
  insert: "insert or ignore into file_checksums (location, size_bytes, sha256, taken_by) values (?, ?, ?, ?)",
  remove: "delete from file_checksums where location = ?",
  get: "select location, size_bytes, sha256, taken_by from file_checksums where location = ?",
  all: "select location from file_checksums",
} as const;

/**
 * Checksums in the catalog's file, over a connection without fsync: a power failure may lose the newest checksums, but
 * never a pointer. The next `verify --deep` adds missing ones.
 */
export class SqliteChecksums implements ChecksumStore {
  readonly #database: DatabaseSync;
  /** Null if a lake of an older version, opened for reading, has no table for checksums. */
  readonly #statements: Record<keyof typeof SQL, StatementSync> | null;

  constructor(path: string, options: { is_read_only?: boolean } = {}) {
    this.#database = openDatabase(path, options);
    if (options.is_read_only !== true) this.#database.exec(`pragma synchronous = normal; ${TABLE}`);
    const is_there =
      this.#database.prepare("select 1 from sqlite_schema where name = 'file_checksums'").get() !== undefined;
    const prepared = is_there ? Object.entries(SQL).map(([name, sql]) => [name, this.#database.prepare(sql)]) : null;
    this.#statements = prepared && (Object.fromEntries(prepared) as Record<keyof typeof SQL, StatementSync>);
  }

  change({ added = [], removed = [] }: { added?: readonly FileChecksum[]; removed?: readonly string[] }): void {
    const statements = this.#statements;
    if (statements === null || added.length + removed.length === 0) return;
    transact(this.#database, () => {
      for (const location of removed) statements.remove.run(location);
      for (const { location, size_bytes, sha256, taken_by } of added)
        statements.insert.run(location, size_bytes, sha256, taken_by);
    });
  }

  has(location: string): boolean {
    return this.#statements?.get.get(location) !== undefined;
  }

  get(location: string): FileChecksum | null {
    const row = this.#statements?.get.get(location);
    return row === undefined ? null : (row as unknown as FileChecksum);
  }

  locations(): string[] {
    return (this.#statements?.all.all() ?? []).map((row) => String(row["location"]));
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
