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
import { Gate } from "../base/gate.ts";
import { Turns } from "../base/turns.ts";
import type { LogRecord } from "../log/log.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import type { OpenLake } from "../lake/open.ts";
import { attachCatalog, openDuckDB, type DuckDBOptions } from "./duckdb.ts";
import { closeInstance } from "./instances.ts";
import { Reader, type ProfiledResult } from "./profile.ts";
import type { ReadOptions } from "./read.ts";

/**
 * Maximum concurrent queries. Each holds a thread of Node's pool while it waits for the catalog, which needs one too.
 */
const MAX_READERS = 6;
const MICROS_PER_DAY = 86_400_000_000;

/**
 * A value as the tail's own code reads it: DECIMALs as units of their last decimal, times as microseconds UTC, integers
 * as numbers.
 */
export type TailValue = string | number | bigint | boolean | null;

export interface Statements {
  /** Runs the statements; resolves to the number of rows that the last one changed. */
  run(): Promise<number>;
  /** Runs the statements as the last of a transaction, and commits it. */
  runAndCommit(): Promise<void>;
  /** Runs the statements and reads the rows of the last one. */
  read(): Promise<TailValue[][]>;
}

/**
 * The schema of the tail's tables, separate from the views over them: DuckDB replans prepared statements after any DDL
 * in their database.
 */
export const TAIL = "tail.main";
/** The schema of the arriving batch, separate so that its cost does not grow with the tail. */
export const ARRIVING = "tail.arriving";

/** Empty tables that a reader reads first, to begin its snapshots of the rows and of the views. */
const ANCHORS = { rows: `${TAIL}.anchor`, views: "live.main.anchor" };

/**
 * In-memory databases in one DuckDB together with the lake's tables: `tail` holds rows, and `live` the views over rows
 * and tables. One connection writes to each, any number read. A reader begins its snapshots of rows and views while no
 * views are replaced, so that the views it sees are those of its rows: views may rely on rows that were added before
 * they were replaced, and on rows that are deleted afterwards.
 */
export class TailDatabase {
  readonly #instance: DuckDBInstance;
  readonly #writer: DuckDBConnection;
  /** Replaces views concurrently with the writer, because planning all views takes ten times as long as a batch. */
  readonly #viewer: DuckDBConnection;
  readonly #idle: Reader[] = [];
  readonly #turns = new Turns(MAX_READERS);
  readonly #gate = new Gate();
  #prepared = 0;
  /**
   * The BEGIN of a transaction, sent with its first statement: each call to DuckDB waits for a thread, and then for the
   * event loop.
   */
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
    await attachCatalog(writer, server.url, "lake", {
      is_read_only: true,
      token: server.token,
      warehouse: server.warehouse,
    });
    // Statistics describe the rows at planning time, but a prepared plan also serves later rows: planned over an empty
    // table, "where reason is null" would never be true again.
    await writer.run(
      "SET GLOBAL disabled_optimizers = 'statistics_propagation'; ATTACH ':memory:' AS tail; ATTACH ':memory:' AS live",
    );
    const anchors = Object.values(ANCHORS).map((table) => `CREATE TABLE ${table} (nothing BOOLEAN)`);
    await writer.run([`CREATE SCHEMA ${ARRIVING}`, ...anchors].join("; "));
    return new TailDatabase(instance, writer, await instance.connect());
  }

  async run(sql: string): Promise<void> {
    await orFail(this.#writer.run(this.#opened(sql)));
  }

  /**
   * Prepares statements that are planned once and run in one call: with separate calls, each would wait for the event
   * loop's other work. The statements take no parameters, because DuckDB replans statements with parameters at every
   * run.
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

  /** Runs all of `work`'s statements or none. Must not be nested or contain `append`. */
  async transact<T>(work: () => Promise<T>): Promise<T> {
    this.#opening = "BEGIN; ";
    this.#is_committed = false;
    try {
      const result = await work();
      if (!this.#is_committed && this.#opening === "") await this.run("COMMIT");
      return result;
    } catch (error) {
      // A failed COMMIT has already rolled back; the first error is the one to report.
      await this.#writer.run("ROLLBACK").catch(() => {});
      throw error;
    } finally {
      this.#opening = "";
    }
  }

  /**
   * Replaces the SQL of each view, all of them or none, concurrently with the writer. Only the commit waits for readers
   * that begin. Calls `replaced` before any of these sees the new views.
   */
  async replaceViews(views: ReadonlyMap<string, string>, replaced: () => void = () => {}): Promise<void> {
    const replace = Array.from(views, ([name, sql]) => `CREATE OR REPLACE VIEW ${name} AS ${sql}`);
    try {
      await orFail(this.#viewer.run(["BEGIN", ...replace].join("; ")));
      await this.#gate.alone(async () => {
        await orFail(this.#viewer.run("COMMIT"));
        replaced();
      });
    } catch (error) {
      await this.#viewer.run("ROLLBACK").catch(() => {});
      throw error;
    }
  }

  /**
   * Frees the memory of deleted rows, which DuckDB otherwise keeps and skips in every scan. Deferred while readers are
   * active.
   */
  async compact(): Promise<void> {
    const compacted = this.#writer.run("CHECKPOINT tail").catch((error: unknown) => {
      if (!/other (write )?transactions active/.test(messageOf(error))) throw error;
    });
    await orFail(compacted);
  }

  /** Adds records to a table with bronze's columns, in the order of BRONZE_COLUMNS, in a separate transaction. */
  async append(table: string, topic: string, records: readonly LogRecord[]): Promise<void> {
    await orFail(this.#fill(table, topic, records));
  }

  /** Reads rows for the tail's own code, within its transaction. */
  async read(sql: string): Promise<TailValue[][]> {
    return rowsOf(await orFail(this.#writer.runAndReadAll(this.#opened(sql))));
  }

  /**
   * Opens `readers` profiled readers, which report their scans through files in `folder`; further concurrent readers do
   * not. Must be called before a lock.
   */
  async profile(readers: number, folder: string): Promise<void> {
    while (this.#idle.length < readers) this.#idle.push(await this.#openReader(folder));
  }

  /**
   * Runs a query of a reader on a separate connection, concurrently with the writer; above MAX_READERS, queries queue
   * in call order. Calls `began` once the views that the query sees are fixed, before later ones replace them.
   */
  query(sql: string, options: ReadOptions = {}, began: () => void = () => {}): Promise<ProfiledResult> {
    return this.#turns.take(() => this.#query(sql, options, began));
  }

  async #query(sql: string, options: ReadOptions, began: () => void): Promise<ProfiledResult> {
    const reader = this.#idle.pop() ?? (await this.#openReader(null));
    try {
      // In each database, the transaction begins with the first access.
      const begin = `BEGIN READ ONLY; FROM ${ANCHORS.rows}; FROM ${ANCHORS.views}`;
      const beginOn = (run: (sql: string) => Promise<unknown>): Promise<void> =>
        this.#gate.together(async () => {
          await run(begin);
          began();
        });
      return await reader.query(beginOn, sql, options);
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

  /** Table names refer to the lake's current tables; `live.<table>` is available beside them. */
  async #openReader(profile_folder: string | null): Promise<Reader> {
    const connection = await this.#instance.connect();
    await connection.run("USE lake.gold");
    return Reader.open(connection, profile_folder);
  }
}

/** The columns that `append` fills. */
export const BRONZE_COLUMNS = `
  source VARCHAR, payload VARCHAR, payload_bytes BLOB, payload_size_bytes INTEGER,
  ingested_at TIMESTAMPTZ, ingestion_date DATE, log_topic VARCHAR, log_partition INTEGER, log_offset BIGINT`;

/** A failure loses no data of the tail, which is rebuilt from the log. */
async function orFail<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new OperatingError("LIVE_TAIL_FAILED", `DuckDB could not keep the live views: ${messageOf(error)}`, {
      next_step: "It is retried, and the tables are built without it. If it keeps failing, start again.",
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
