import type { DuckDBConnection } from "@duckdb/node-api";
import { randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { readRows, type QueryResult, type ReadOptions } from "./read.ts";
import { quoteText } from "./sql.ts";

/** One scan of an Iceberg table, with DuckDB's run-time counts. */
export interface TableScan {
  /** Location of a file that partition and bound pruning left to be read; "" where none was left. */
  file: string;
  /**
   * The number of files that the scan read. A scan that a limit ended has started more than it counts, and at least
   * one.
   */
  files_read: number;
  /** Rows that the scan returned after partitions, statistics and filters. */
  rows_read: number;
}

export interface ProfiledResult extends QueryResult {
  /**
   * Empty where the connection is not profiled, where DuckDB profiles differently (EXPLAIN), and for answers from
   * metadata alone.
   */
  scans: TableScan[];
}

interface Operator {
  operator_type?: string;
  operator_cardinality?: number;
  extra_info?: Record<string, unknown>;
  children?: Operator[];
}

/** Starts a transaction by SQL that it passes to `run`. */
export type Begin = (run: (sql: string) => Promise<unknown>) => Promise<unknown>;

const METRICS = JSON.stringify({ OPERATOR_TYPE: "true", OPERATOR_CARDINALITY: "true", EXTRA_INFO: "true" });

/**
 * A read-only connection. With a profile, DuckDB writes the scan counts of each query to a file, its only way to report
 * them.
 */
export class Reader {
  readonly #connection: DuckDBConnection;
  readonly #profile: string | null;

  private constructor(connection: DuckDBConnection, profile: string | null) {
    this.#connection = connection;
    this.#profile = profile;
  }

  /**
   * Opens the reader. A profiled one must be opened before the database is locked, with a folder that the lock allows.
   */
  static async open(connection: DuckDBConnection, profile_folder: string | null): Promise<Reader> {
    if (profile_folder === null) return new Reader(connection, null);
    const file = join(profile_folder, `${randomUUID()}.json`);
    await connection.run(
      `SET enable_profiling = 'json'; SET profiling_output = ${quoteText(file)}; ` +
        `SET custom_profiling_settings = ${quoteText(METRICS)}`,
    );
    return new Reader(connection, file);
  }

  /**
   * Runs in a transaction that `begin` starts, and ends it in every case, also after truncation or failure. Throws as
   * readRows does.
   */
  async query(begin: Begin, sql: string, options: ReadOptions): Promise<ProfiledResult> {
    let scans: TableScan[] = [];
    let result: QueryResult;
    try {
      await begin((sql) => this.#connection.run(sql));
      result = await readRows(this.#connection, sql, options);
    } finally {
      await this.#connection.run("ROLLBACK").catch(() => {});
      if (this.#profile !== null) scans = await takeScans(this.#profile);
    }
    return { ...result, scans };
  }

  close(): void {
    this.#connection.closeSync();
  }
}

/** Reads and deletes the profile file, so that the next query does not read it again. */
async function takeScans(file: string): Promise<TableScan[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "{}";
    throw error;
  });
  await rm(file, { force: true });
  return scansIn(JSON.parse(text) as Operator);
}

function scansIn({ operator_type, operator_cardinality = 0, extra_info = {}, children = [] }: Operator): TableScan[] {
  const below = children.flatMap(scansIn);
  if (operator_type !== "TABLE_SCAN" || extra_info["Function"] !== "ICEBERG_SCAN") return below;
  const files_read = Math.max(Number(extra_info["Total Files Read"] ?? 0), operator_cardinality > 0 ? 1 : 0);
  return [{ file: String(extra_info["Filename(s)"] ?? ""), files_read, rows_read: operator_cardinality }, ...below];
}
