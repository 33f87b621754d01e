import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { isStoreDamage, openSqliteFile, sqliteFailure, transact, type SqliteFormat } from "../../src/base/sqlite.ts";
import type { Listed } from "./folder.ts";

/** A file that is no longer listed is forgotten after this time; it would then be read again. */
const REMEMBERED_US = 30 * 86_400_000_000;
const BUSY_TIMEOUT_MS = 5_000;

/**
 * `content` has the contents that were read, `listed` the names that were seen with such a content. States: `partial`,
 * the log holds the elements before `next_element`; `done`; `void`, the file changed while it was read, so the log may
 * hold elements of other content.
 */
const TABLES = `
  create table content (
    digest text primary key,
    next_element integer not null,
    state text not null,
    seen_at_us integer not null
  ) strict, without rowid;
  create table listed (
    name text primary key,
    size_bytes integer not null,
    modified_at_us integer not null,
    version text not null,
    digest text not null,
    seen_at_us integer not null
  ) strict, without rowid;
  create index listed_by_digest on listed (digest);
`;

export const LEDGER_FORMAT: SqliteFormat = {
  prefix: "LEDGER",
  name: "the ledger of read files",
  application_id: 0x636c_6664,
  migrations: [TABLES],
  failures: { CORRUPT: "Delete the file: the files are read again, and duplicates count once." },
};

const SQL = {
  progress: "select next_element, state from content where digest = ?",
  note: `insert into content values (?, ?, 'partial', ?)
    on conflict do update set next_element = excluded.next_element, seen_at_us = excluded.seen_at_us
    where content.state = 'partial'`,
  finish: `insert into content values (?, ?, 'done', ?)
    on conflict do update set next_element = excluded.next_element, state = 'done', seen_at_us = excluded.seen_at_us
    where content.state <> 'done'`,
  void: `insert into content values (?, 0, 'void', ?)
    on conflict do update set next_element = 0, state = 'void' where content.state <> 'done'`,
  listed: "select 1 from listed where name = ? and size_bytes = ? and modified_at_us = ? and version = ?",
  put_listed: "insert or replace into listed values (?, ?, ?, ?, ?, ?)",
  see: "update listed set seen_at_us = ? where name = ?",
  forget_listed: "delete from listed where seen_at_us < ?",
  see_contents: `update content set seen_at_us = ?1
    where exists (select 1 from listed where listed.digest = content.digest and listed.seen_at_us = ?1)`,
  forget_contents: "delete from content where seen_at_us < ?",
  contents: "select count(*) as contents from content where state = 'done'",
} as const;

/**
 * The durable record of the contents that a source of files has read, by SHA-256. The position in the log precedes it:
 * after a kill between the two, the next start copies the position into the ledger. A lost ledger causes duplicates,
 * never a loss.
 */
export class Ledger {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #sql: Record<keyof typeof SQL, StatementSync>;

  /** Throws LEDGER_LOCKED, LEDGER_CANNOT_OPEN and the other errors of a SQLite file; `openLedger` handles damage. */
  constructor(file: string) {
    this.#file = file;
    this.#database = openSqliteFile(file, LEDGER_FORMAT, {
      busy_timeout_ms: BUSY_TIMEOUT_MS,
      is_blocking: true,
      is_noted: false,
    });
    // Commits survive a kill. A power cut may take those since the last checkpoint, which closing the file makes, and
    // their files are then read again.
    this.#database.exec("PRAGMA synchronous = NORMAL");
    this.#sql = Object.fromEntries(
      Object.entries(SQL).map(([name, sql]) => [name, this.#database.prepare(sql)]),
    ) as Record<keyof typeof SQL, StatementSync>;
  }

  close(): void {
    this.#database.close();
  }

  /** The number of contents that were read completely. */
  get contents(): number {
    return this.#run("read", () => Number(this.#sql.contents.get()?.["contents"]));
  }

  /** Whether the file was listed with this name, size and time when its content was read. */
  isKnown({ name, size_bytes, modified_at_us, version = "" }: Listed): boolean {
    return this.#run("read", () => this.#sql.listed.get(name, size_bytes, modified_at_us, version) !== undefined);
  }

  /** The next element of a content; null once it was read completely, 0 for an unknown content. */
  nextElement(digest: string): number | null {
    const row = this.#run("read", () => this.#sql.progress.get(digest));
    if (row === undefined) return 0;
    return row["state"] === "done" ? null : Number(row["next_element"]);
  }

  /** The log holds the elements of the content before this one. */
  notePartial(digest: string, next_element: number, now_us: number): void {
    this.#write(() => this.#sql.note.run(digest, next_element, now_us));
  }

  /** The elements in the log may be those of another content: it is read from its first element if it comes back. */
  noteVoid(digest: string, now_us: number): void {
    this.#write(() => this.#sql.void.run(digest, now_us));
  }

  /** The log holds the whole content. */
  noteDone(digest: string, elements: number, now_us: number): void {
    this.#write(() => this.#sql.finish.run(digest, elements, now_us));
  }

  /** As `noteDone`, for the content of a listed file. */
  finish(file: Listed, digest: string, elements: number, now_us: number): void {
    const { name, size_bytes, modified_at_us, version = "" } = file;
    this.#write(() => {
      this.#sql.finish.run(digest, elements, now_us);
      this.#sql.put_listed.run(name, size_bytes, modified_at_us, version, digest, now_us);
    });
  }

  /** Notes that the names are listed now, and forgets names and contents that were not listed for 30 days. */
  sweep(names: Iterable<string>, now_us: number): void {
    this.#write(() => {
      for (const name of names) this.#sql.see.run(now_us, name);
      this.#sql.see_contents.run(now_us);
      this.#sql.forget_listed.run(now_us - REMEMBERED_US);
      this.#sql.forget_contents.run(now_us - REMEMBERED_US);
    });
  }

  #write(work: () => void): void {
    this.#run("write", () => transact(this.#database, work));
  }

  #run<T>(verb: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw sqliteFailure(this.#file, LEDGER_FORMAT, verb, error);
    }
  }
}

/**
 * Opens or creates the ledger of a producer's folder. Moves a damaged ledger aside and calls `damaged`: the files are
 * then read again.
 */
export function openLedger(folder: string, damaged: (aside: string) => void): Ledger {
  const file = join(folder, "ledger.db");
  try {
    return new Ledger(file);
  } catch (error) {
    if (!isStoreDamage(error)) throw error;
    const aside = `${file}.damaged`;
    renameSync(file, aside);
    for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
    damaged(aside);
    return new Ledger(file);
  }
}
