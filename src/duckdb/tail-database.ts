import {
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBInstance,
  type DuckDBResultReader,
  type DuckDBValue,
} from "@duckdb/node-api";
import { isUtf8 } from "node:buffer";
import { Turns } from "../base/turns.ts";
import type { LogRecord } from "../log/log.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import type { OpenLake } from "../lake/open.ts";
import { attachCatalog, openDuckDB, type DuckDBOptions } from "./duckdb.ts";
import { closeInstance } from "./instances.ts";
import { Reader, type ProfiledResult } from "./profile.ts";
import type { ReadOptions } from "./read.ts";

/** A query holds a thread of Node's pool while it waits for the catalog, which needs one too: queries may never hold them all. */
const MAX_READERS = 6;
const MICROS_PER_DAY = 86_400_000_000;

/** A value as the tail's own bookkeeping reads it: DECIMALs as units of their last place, times as microseconds UTC, integers as numbers. */
export type TailValue = string | number | bigint | boolean | null;

export interface Statements {
  /** Runs them; resolves to the number of rows that the last one changed. */
  run(): Promise<number>;
  /** Runs them as the last of a transaction, and commits it. */
  runAndCommit(): Promise<void>;
  /** Runs them and reads the last one's rows. */
  read(): Promise<TailValue[][]>;
}

/** Where the tail's tables are, apart from the views over them: DuckDB plans prepared statements anew after any DDL beside their tables. */
export const TAIL = "tail.main";
/** Likewise for the batch that arrives, so that what it costs does not grow with the tail. */
export const ARRIVING = "tail.arriving";

/** Empty: what a reader looks at so that its view of the rows begins. */
const ANCHOR = `${TAIL}.anchor`;

/**
 * In-memory databases beside the lake's tables, in one DuckDB: `tail` of rows, and `live` of the views over rows and tables. One
 * connection writes to each, any number read. Readers look at the rows first: views that are replaced before rows are deleted
 * leave nobody without them.
 */
export class TailDatabase {
  readonly #instance: DuckDBInstance;
  readonly #writer: DuckDBConnection;
  /** Replaces views beside the writer: planning them all takes ten times what a batch takes. */
  readonly #viewer: DuckDBConnection;
  readonly #idle: Reader[] = [];
  readonly #turns = new Turns(MAX_READERS);
  #prepared = 0;
  /** What opens a transaction goes with its first statement: each call to DuckDB waits for a thread, and then for the event loop. */
  #opening = "";
  #is_committed = false;
  #is_closed = false;

  private constructor(instance: DuckDBInstance, writer: DuckDBConnection, viewer: DuckDBConnection) {
    this.#instance = instance;
    this.#writer = writer;
    this.#viewer = viewer;
  }

  static async open(
    { server, s3 }: Pick<OpenLake, "server" | "s3">,
    limits: Pick<DuckDBOptions, "memory_limit_mb" | "threads">,
  ): Promise<TailDatabase> {
    const instance = await openDuckDB({ name: "live", ...limits, s3 });
    const writer = await instance.connect();
    await attachCatalog(writer, server.url, "lake", { is_read_only: true, token: server.token });
    // What statistics say holds for the rows of that moment, but a prepared plan is used for later ones too: planned over an
    // empty table, "where reason is null" is never true again.
    await writer.run(
      "SET GLOBAL disabled_optimizers = 'statistics_propagation'; ATTACH ':memory:' AS tail; ATTACH ':memory:' AS live",
    );
    await writer.run(`CREATE SCHEMA ${ARRIVING}; CREATE TABLE ${ANCHOR} (nothing BOOLEAN)`);
    return new TailDatabase(instance, writer, await instance.connect());
  }

  async run(sql: string): Promise<void> {
    await orFail(this.#writer.run(this.#opened(sql)));
  }

  /**
   * Statements that are planned once, and run in one go: what waits for the event loop between them would wait for all that it
   * does. They take no parameters: DuckDB plans one that does anew at every run.
   */
  async prepare(...statements: readonly string[]): Promise<Statements> {
    const names = statements.map((_statement, index) => `prepared_${this.#prepared + index}`);
    this.#prepared += statements.length;
    for (const [index, statement] of statements.entries()) await this.run(`PREPARE ${names[index]} AS ${statement}`);
    const sql = names.map((name) => `EXECUTE ${name}`).join("; ");
    return {
      run: async () => (sql === "" ? 0 : (await orFail(this.#writer.run(this.#opened(sql)))).rowsChanged),
      runAndCommit: async () => {
        await this.run(`${sql}; COMMIT`);
        this.#is_committed = true;
      },
      read: () => this.read(sql),
    };
  }

  /** All of `work`'s statements or none. Not to be nested, and not for `append`. */
  async transact<T>(work: () => Promise<T>): Promise<T> {
    this.#opening = "BEGIN; ";
    this.#is_committed = false;
    try {
      const result = await work();
      if (!this.#is_committed && this.#opening === "") await this.run("COMMIT");
      return result;
    } catch (error) {
      // A failed COMMIT has rolled back by itself; what went wrong first is what to tell.
      await this.#writer.run("ROLLBACK").catch(() => {});
      throw error;
    } finally {
      this.#opening = "";
    }
  }

  /** Makes each view say what its SQL says, all of them or none; what the writer does meanwhile goes on. */
  async replaceViews(views: ReadonlyMap<string, string>): Promise<void> {
    const replace = Array.from(views, ([name, sql]) => `CREATE OR REPLACE VIEW ${name} AS ${sql}`);
    try {
      await orFail(this.#viewer.run(["BEGIN", ...replace, "COMMIT"].join("; ")));
    } catch (error) {
      await this.#viewer.run("ROLLBACK").catch(() => {});
      throw error;
    }
  }

  /** Gives the memory of deleted rows back: without it DuckDB keeps them, and looks past them in every scan. Where readers are at work, later. */
  async compact(): Promise<void> {
    const compacted = this.#writer.run("CHECKPOINT tail").catch((error: unknown) => {
      if (!/other (write )?transactions active/.test(messageOf(error))) throw error;
    });
    await orFail(compacted);
  }

  /** Adds records to a table of bronze's columns, in the order of BRONZE_COLUMNS; a transaction of its own. */
  async append(table: string, topic: string, records: readonly LogRecord[]): Promise<void> {
    await orFail(this.#fill(table, topic, records));
  }

  /** Rows for the tail's own bookkeeping, read within its transaction. */
  async read(sql: string): Promise<TailValue[][]> {
    return rowsOf(await orFail(this.#writer.runAndReadAll(this.#opened(sql))));
  }

  /** So many readers tell what they read, by way of files in `folder`; others that are at work beside them do not. To be called before a lock. */
  async profile(readers: number, folder: string): Promise<void> {
    while (this.#idle.length < readers) this.#idle.push(await this.#openReader(folder));
  }

  /** For readers: each on a connection of its own, beside the writer; more than MAX_READERS wait, first come first served. */
  query(sql: string, options: ReadOptions = {}): Promise<ProfiledResult> {
    return this.#turns.take(() => this.#query(sql, options));
  }

  async #query(sql: string, options: ReadOptions): Promise<ProfiledResult> {
    const reader = this.#idle.pop() ?? (await this.#openReader(null));
    try {
      // Each database's part of a transaction begins when it is first looked at.
      return await reader.query(`BEGIN READ ONLY; FROM ${ANCHOR}`, sql, options);
    } finally {
      if (this.#is_closed) reader.close();
      else this.#idle.push(reader);
    }
  }

  close(): void {
    this.#is_closed = true;
    for (const reader of this.#idle.splice(0)) reader.close();
    this.#viewer.closeSync();
    this.#writer.closeSync();
    closeInstance(this.#instance);
  }

  #opened(sql: string): string {
    const opened = this.#opening + sql;
    this.#opening = "";
    return opened;
  }

  async #fill(table: string, topic: string, records: readonly LogRecord[]): Promise<void> {
    const [database = "", schema = "", name = ""] = table.split(".");
    const appender = await this.#writer.createAppender(name, schema, database);
    try {
      for (const { source, payload, ingested_at_us, partition, offset } of records) {
        const is_text = isUtf8(payload);
        appender.appendVarchar(source);
        if (is_text)
          appender.appendVarchar(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
        else appender.appendNull();
        if (is_text) appender.appendNull();
        else appender.appendBlob(payload);
        appender.appendInteger(payload.length);
        appender.appendTimestampTZ(new DuckDBTimestampTZValue(BigInt(ingested_at_us)));
        appender.appendDate(new DuckDBDateValue(Math.floor(ingested_at_us / MICROS_PER_DAY)));
        appender.appendVarchar(topic);
        appender.appendInteger(partition);
        appender.appendBigInt(BigInt(offset));
        appender.endRow();
      }
    } finally {
      appender.closeSync();
    }
  }

  /** Names of tables mean the lake's heads; `live.<table>` is found beside them. */
  async #openReader(profile_folder: string | null): Promise<Reader> {
    const connection = await this.#instance.connect();
    await connection.run("USE lake.gold");
    return Reader.open(connection, profile_folder);
  }
}

/** As `append` fills them. */
export const BRONZE_COLUMNS = `
  source VARCHAR, payload VARCHAR, payload_bytes BLOB, payload_size_bytes INTEGER, ingested_at TIMESTAMPTZ, ingestion_date DATE,
  log_topic VARCHAR, log_partition INTEGER, log_offset BIGINT`;

/** Nothing of the tail is lost with it: it is made of the log. */
async function orFail<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new OperatingError("LIVE_TAIL_FAILED", `DuckDB could not keep the live views: ${messageOf(error)}`, {
      next_step: "It is tried again; the tables go on without it. If it keeps failing, start again.",
      cause: error,
    });
  }
}

function rowsOf(reader: DuckDBResultReader): TailValue[][] {
  return reader.getRows().map((row) => row.map(plain));
}

function plain(value: DuckDBValue): TailValue {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBTimestampTZValue) return Number(value.micros);
  return String(value);
}
