import { onAbort } from "../base/abortable.ts";
import type { DuckDBConnection, DuckDBResult } from "@duckdb/node-api";
import { OperatingError } from "../base/errors.ts";
import { engineFailure } from "./failure.ts";
import { readStructsInOrder } from "./struct-text.ts";

readStructsInOrder();

const INTERRUPT_INTERVAL_MS = 50;
/** The memory of a cell besides its text, in characters. */
const CELL_CHARACTERS = 16;

export interface QueryResult {
  columns: { name: string; type: string }[];
  /** Values as text, exactly as DuckDB prints them; null is null. */
  rows: (string | null)[][];
  /** Whether the result has more rows than were requested. */
  is_truncated: boolean;
}

export interface ReadOptions {
  /** Interrupts the query; it then throws QUERY_CANCELLED. */
  signal?: AbortSignal | undefined;
  /** The maximum number of rows read; the result reports whether more exist. */
  max_rows?: number | undefined;
  /** Reading stops after the row that reaches this number of characters, the overhead of each cell included. */
  max_characters?: number | undefined;
}

/**
 * Runs a query and reads its rows as text, exactly as DuckDB prints them. Throws INVALID_SQL and TABLE_FILE_UNREADABLE
 * with DuckDB's message, and QUERY_CANCELLED.
 */
export async function readRows(
  connection: DuckDBConnection,
  sql: string,
  options: ReadOptions = {},
): Promise<QueryResult> {
  const { signal } = options;
  if (signal?.aborted) throw cancelled();
  const stopInterrupting = signal === undefined ? () => {} : interruptOnAbort(connection, signal);
  try {
    const is_bounded = options.max_rows !== undefined || options.max_characters !== undefined;
    const result = await (is_bounded ? connection.stream(sql) : connection.run(sql));
    const names = result.deduplicatedColumnNames();
    const types = result.columnTypes().map(String);
    return {
      columns: names.map((name, index) => ({ name, type: types[index] ?? "" })),
      ...(await rowsOf(result, options)),
    };
  } catch (error) {
    if (signal?.aborted) throw cancelled();
    throw engineFailure(error);
  } finally {
    stopInterrupting();
  }
}

/**
 * Interrupts the connection's query once the signal aborts, and again until the returned function is called: DuckDB
 * forgets an interrupt that comes before a thread has begun the query.
 */
function interruptOnAbort(connection: DuckDBConnection, signal: AbortSignal): () => void {
  let again: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    connection.interrupt();
    again = setInterval(() => connection.interrupt(), INTERRUPT_INTERVAL_MS);
  });
  return () => {
    stopListening();
    clearInterval(again);
  };
}

/** Reads chunk by chunk, so that rows past a limit are never created. */
async function rowsOf(
  result: DuckDBResult,
  { max_rows = Infinity, max_characters = Infinity }: ReadOptions,
): Promise<Pick<QueryResult, "rows" | "is_truncated">> {
  const rows: (string | null)[][] = [];
  let characters = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return { rows, is_truncated: false };
    for (const values of chunk.getRows()) {
      if (rows.length >= max_rows || characters >= max_characters) return { rows, is_truncated: true };
      const row = values.map((value) => (value === null ? null : String(value)));
      characters += row.reduce((sum, text) => sum + (text?.length ?? 0) + CELL_CHARACTERS, 0);
      rows.push(row);
    }
  }
}

function cancelled(): OperatingError {
  return new OperatingError("QUERY_CANCELLED", "The query was cancelled before it ended", {
    next_step: "Run it again, or ask for less.",
  });
}
