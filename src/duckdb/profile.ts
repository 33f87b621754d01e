import type { DuckDBConnection } from "@duckdb/node-api";
import { randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { readRows, type QueryResult, type ReadOptions } from "./read.ts";
import { quoteText } from "./sql.ts";

/** One scan of an Iceberg table, as DuckDB counted it while it ran. */
export interface TableScan {
  /** Location of a file that partitions and bounds left to be read; "" where they left none. */
  file: string;
  /** How many the scan went through. One that a limit ended has begun more than it counts, and always at least one. */
  files_read: number;
  /** Rows that it handed on: what partitions, statistics and filters did not skip. */
  rows_read: number;
}

export interface ProfiledResult extends QueryResult {
  /** Empty where the connection is not profiled, and for what DuckDB profiles in another way (EXPLAIN) or answers by metadata alone. */
  scans: TableScan[];
}

interface Operator {
  operator_type?: string;
  operator_cardinality?: number;
  extra_info?: Record<string, unknown>;
  children?: Operator[];
}

const METRICS = JSON.stringify({ OPERATOR_TYPE: "true", OPERATOR_CARDINALITY: "true", EXTRA_INFO: "true" });

/** A connection that only reads. With a profile, each of its queries leaves the counts of its scans in a file, as DuckDB has no other way to tell them. */
export class Reader {
  readonly #connection: DuckDBConnection;
  readonly #profile: string | null;

  private constructor(connection: DuckDBConnection, profile: string | null) {
    this.#connection = connection;
    this.#profile = profile;
  }

  /** To be opened with a profile before the database is locked, with a folder that the lock leaves open. */
  static async open(connection: DuckDBConnection, profile_folder: string | null): Promise<Reader> {
    if (profile_folder === null) return new Reader(connection, null);
    const file = join(profile_folder, `${randomUUID()}.json`);
    await connection.run(
      `SET enable_profiling = 'json'; SET profiling_output = ${quoteText(file)}; SET custom_profiling_settings = ${quoteText(METRICS)}`,
    );
    return new Reader(connection, file);
  }

  /** In a transaction that `begin` begins and that ends with it, whatever it came to: cut off or failed. Throws as readRows does. */
  async query(begin: string, sql: string, options: ReadOptions): Promise<ProfiledResult> {
    let scans: TableScan[] = [];
    let result: QueryResult;
    try {
      await this.#connection.run(begin);
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

/** The file goes, so that the next query cannot be taken for this one. */
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
