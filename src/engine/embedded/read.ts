import type { DuckDBConnection } from "@duckdb/node-api";
import { OperatingError, messageOf } from "../../errors.ts";

export interface QueryResult {
  columns: { name: string; type: string }[];
  /** Values as text, exactly as DuckDB prints them; null is null. */
  rows: (string | null)[][];
  /** Whether there were more rows than were asked for. */
  is_truncated: boolean;
}

export interface ReadOptions {
  /** Interrupts the query; it then throws QUERY_CANCELLED. */
  signal?: AbortSignal | undefined;
  /** Rows past this many are not read, and the result says that it is cut off. */
  max_rows?: number | undefined;
}

/** Runs a query and reads its rows as text, exactly as DuckDB prints them. Throws BAD_SQL with DuckDB's own words. */
export async function readRows(connection: DuckDBConnection, sql: string, options: ReadOptions = {}): Promise<QueryResult> {
  const { signal, max_rows = Infinity } = options;
  const interrupt = () => connection.interrupt();
  if (signal?.aborted) throw cancelled();
  signal?.addEventListener("abort", interrupt, { once: true });
  try {
    const reader = max_rows === Infinity ? await connection.runAndReadAll(sql) : await connection.streamAndReadUntil(sql, max_rows + 1);
    const names = reader.deduplicatedColumnNames();
    const types = reader.columnTypes().map(String);
    const rows = reader.getRows();
    return {
      columns: names.map((name, index) => ({ name, type: types[index] ?? "" })),
      rows: rows.slice(0, max_rows).map((row) => row.map((value) => (value === null ? null : String(value)))),
      is_truncated: rows.length > max_rows,
    };
  } catch (error) {
    if (signal?.aborted) throw cancelled();
    throw new OperatingError("BAD_SQL", messageOf(error), {
      next_step: "Tables are named layer.table, such as gold.fact_… or live.fact_…; `SHOW ALL TABLES` lists them.",
      cause: error,
    });
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}

function cancelled(): OperatingError {
  return new OperatingError("QUERY_CANCELLED", "The query was cancelled before it ended.", { next_step: "Run it again, or ask for less." });
}
