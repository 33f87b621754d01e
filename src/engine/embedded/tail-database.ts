import {
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBInstance,
  type DuckDBPreparedStatement,
  type DuckDBResultReader,
  type DuckDBValue,
} from "@duckdb/node-api";
import { isUtf8 } from "node:buffer";
import type { LogRecord } from "../../log/log.ts";
import { OperatingError, messageOf } from "../../errors.ts";
import { attachCatalog, openDuckDB, type DuckDBOptions } from "./duckdb.ts";
import { readRows, type QueryResult, type ReadOptions } from "./read.ts";

const MICROS_PER_DAY = 86_400_000_000;

/** A value as the tail's own bookkeeping reads it: DECIMALs as units of their last place, times as microseconds UTC, integers as numbers. */
export type TailValue = string | number | bigint | boolean | null;

export interface Statement {
  /** Runs it; resolves to the number of rows it changed. */
  run(): Promise<number>;
  /** Runs it and reads its rows. */
  read(): Promise<TailValue[][]>;
}

/**
 * An in-memory database beside the lake's tables, in one DuckDB: one connection writes, any number read. What one transaction
 * changes, rows and views, is seen by readers together or not at all.
 */
export class TailDatabase {
  readonly #instance: DuckDBInstance;
  readonly #writer: DuckDBConnection;
  readonly #idle: DuckDBConnection[] = [];
  #is_closed = false;

  private constructor(instance: DuckDBInstance, writer: DuckDBConnection) {
    this.#instance = instance;
    this.#writer = writer;
  }

  static async open(catalog_url: string, options: Partial<DuckDBOptions> = {}): Promise<TailDatabase> {
    const instance = await openDuckDB(options);
    const writer = await instance.connect();
    await attachCatalog(writer, catalog_url, "lake", { is_read_only: true });
    // What statistics say holds for the rows of that moment, but a prepared plan is used for later ones too: planned over an
    // empty table, "where reason is null" is never true again.
    await writer.run("SET GLOBAL disabled_optimizers = 'statistics_propagation'; ATTACH ':memory:' AS live; CREATE SCHEMA live.tail");
    return new TailDatabase(instance, writer);
  }

  async run(sql: string): Promise<void> {
    await orFail(this.#writer.run(sql));
  }

  /** A statement that is planned once. It takes no parameters: DuckDB plans one that does anew at every run. */
  async prepare(sql: string): Promise<Statement> {
    const prepared: DuckDBPreparedStatement = await orFail(this.#writer.prepare(sql));
    return {
      run: async () => (await orFail(prepared.run())).rowsChanged,
      read: async () => rowsOf(await orFail(prepared.runAndReadAll())),
    };
  }

  /** All of `work`'s statements or none. Not to be nested. */
  async transact<T>(work: () => Promise<T>): Promise<T> {
    await this.run("BEGIN");
    try {
      const result = await work();
      await this.run("COMMIT");
      return result;
    } catch (error) {
      // A failed COMMIT has rolled back by itself; what went wrong first is what to tell.
      await this.#writer.run("ROLLBACK").catch(() => {});
      throw error;
    }
  }

  /** Adds records to a table of bronze's columns, in the order of BRONZE_COLUMNS. */
  async append(table: string, topic: string, records: readonly LogRecord[]): Promise<void> {
    await orFail(this.#fill(table, topic, records));
  }

  /** Rows for the tail's own bookkeeping, read within its transaction. */
  async read(sql: string): Promise<TailValue[][]> {
    return rowsOf(await orFail(this.#writer.runAndReadAll(sql)));
  }

  /** For readers: each on a connection of its own, beside the writer. */
  async query(sql: string, options: ReadOptions = {}): Promise<QueryResult> {
    const connection = this.#idle.pop() ?? (await this.#connect());
    try {
      return await readRows(connection, sql, options);
    } finally {
      if (this.#is_closed) connection.closeSync();
      else this.#idle.push(connection);
    }
  }

  close(): void {
    this.#is_closed = true;
    for (const connection of this.#idle.splice(0)) connection.closeSync();
    this.#writer.closeSync();
    this.#instance.closeSync();
  }

  async #fill(table: string, topic: string, records: readonly LogRecord[]): Promise<void> {
    const [database = "", schema = "", name = ""] = table.split(".");
    const appender = await this.#writer.createAppender(name, schema, database);
    try {
      for (const { source, payload, ingested_at_us, partition, offset } of records) {
        const is_text = isUtf8(payload);
        appender.appendVarchar(source);
        if (is_text) appender.appendVarchar(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
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
  async #connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect();
    await connection.run("USE lake.gold");
    return connection;
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
      next_step: "Nothing is lost: it is tried again. If it keeps failing, start again; the tables go on without it.",
      is_retryable: true,
      cause: error,
    });
  }
}

function rowsOf(reader: DuckDBResultReader): TailValue[][] {
  return reader.getRows().map((row) => row.map(plain));
}

function plain(value: DuckDBValue): TailValue {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBTimestampTZValue) return Number(value.micros);
  return String(value);
}
