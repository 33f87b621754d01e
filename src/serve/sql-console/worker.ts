import { statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { releaseFreeMemory } from "../../duckdb/release-memory.ts";
import type { ProfiledResult, TableScan } from "../../duckdb/profile.ts";
import type { QueryResult, TableSnapshot } from "../../duckdb/session.ts";
import type { ReadOptions } from "../../duckdb/read.ts";
import { safeSelect, type CsvColumn } from "../../duckdb/safe-csv.ts";
import { quoteText } from "../../duckdb/sql.ts";
import { OperatingError, messageOf } from "../../base/errors.ts";
import { checkParsed, StatementError, withoutExplain, type ParsedSql } from "./allowed.ts";
import type { Failure, QueryOutcome, Reply, Request } from "./protocol.ts";
import type { Scan } from "./scans.ts";

/** The confined engine that runs users' SQL. */
export interface ConsoleEngine {
  /** Queries the live views and the tables' current snapshots. The result has the snapshots that the views read. */
  query(sql: string, options?: ReadOptions): Promise<ConsoleResult>;
  /** See describeScans. */
  describe(
    scans: readonly TableScan[],
    snapshots: readonly TableSnapshot[],
    of: { of_heads: boolean; only: string | null },
  ): Promise<Scan[]>;
  /** Runs work over the snapshots that were current at `at_ms`, which its results name; serialised. */
  past<T>(at_ms: number, work: (query: ConsoleEngine["query"]) => Promise<T>): Promise<T>;
}

export type ConsoleResult = ProfiledResult & { snapshots: TableSnapshot[] };

/** The process exits above this: DuckDB's limit does not cover all its memory, nor the encoded rows. */
const MAX_RSS_BYTES = 1024 ** 3;
/** Above this the C heap's free memory is returned to the system before a query's reply. */
const RELEASE_ABOVE_BYTES = MAX_RSS_BYTES / 2;
const CHECK_INTERVAL_MS = 100;
const EXPORT_MAX_BYTES = 1024 ** 3;
const EXPORT_MAX_ROWS = 5_000_000;

type Run = Extract<Request, { kind: "run" | "export" }>;

/** Serves the parent's requests until its channel closes. */
export async function serveConsole(engine: ConsoleEngine): Promise<void> {
  const running = new Map<number, AbortController>();
  await lowerPriority();
  watchMemory();
  const closed = new Promise<void>((resolve) => process.once("disconnect", resolve));
  process.on("message", (message: Request) => {
    if (message.kind === "cancel") running.get(message.id)?.abort();
    else void answer(engine, message, running);
  });
  reply({ kind: "ready" });
  await closed;
  for (const controller of running.values()) controller.abort();
}

async function answer(engine: ConsoleEngine, request: Run, running: Map<number, AbortController>): Promise<void> {
  const controller = new AbortController();
  running.set(request.id, controller);
  const timeout = AbortSignal.timeout(request.limits.timeout_ms);
  const signal = AbortSignal.any([controller.signal, timeout]);
  try {
    // Concurrent queries share the memory for results.
    const max_bytes = request.limits.max_bytes / running.size;
    const limits = { ...request.limits, max_bytes };
    const message = await perform(engine, { ...request, limits }, signal, controller).catch(
      (error: unknown): Reply => ({
        kind: "failed",
        id: request.id,
        failure: describeFailure(error, request, { is_late: timeout.aborted }),
      }),
    );
    // Otherwise the memory that this query has freed would count against the next one.
    if (process.memoryUsage.rss() > RELEASE_ABOVE_BYTES) await releaseFreeMemory().catch(report);
    reply(message);
  } finally {
    running.delete(request.id);
  }
}

async function perform(
  engine: ConsoleEngine,
  request: Run,
  signal: AbortSignal,
  controller: AbortController,
): Promise<Reply> {
  const { query: checked, explain } = withoutExplain(request.sql);
  checkParsed(await parse(engine, checked, signal));
  const run = (query: ConsoleEngine["query"]): Promise<Reply> =>
    request.kind === "run"
      ? read({ ...engine, query }, `${explain}${checked}`, request, signal)
      : write(query, checked, request, signal, controller);
  return request.at_ms === null ? run(engine.query) : engine.past(request.at_ms, run);
}

async function parse({ query }: ConsoleEngine, sql: string, signal: AbortSignal): Promise<ParsedSql> {
  const { rows } = await query(`SELECT json_serialize_sql(${quoteText(sql)})`, { signal });
  return JSON.parse(rows[0]?.[0] ?? "{}") as ParsedSql;
}

/** Runs a query; `sql` is the checked statement, not the text as typed. */
async function read(
  { query, describe }: ConsoleEngine,
  sql: string,
  { id, limits, at_ms }: Run,
  signal: AbortSignal,
): Promise<Reply> {
  const started_ms = performance.now();
  const result = await query(sql, { signal, max_rows: limits.max_rows, max_characters: limits.max_bytes });
  const elapsed_ms = Math.round((performance.now() - started_ms) * 10) / 10;
  const { text, row_count } = rowsWithin(result.rows, limits.max_bytes);
  const is_cut = result.is_truncated || row_count < result.rows.length;
  const truncated_by = !is_cut ? null : row_count < limits.max_rows ? "bytes" : "rows";
  const named = result.snapshots.filter(({ table }) => isNamed(sql, table));
  // A live view may read tables other than the one in its name.
  const only = named.length === 1 && !/\blive\b/i.test(sql) ? (named[0]?.table ?? null) : null;
  const of_heads = at_ms === null && /\b(?:bronze|silver|gold)\b/i.test(sql);
  const scans = await describe(result.scans, result.snapshots, { of_heads, only });
  const outcome: QueryOutcome = {
    columns: result.columns,
    rows_json: text,
    row_count,
    truncated_by,
    elapsed_ms,
    snapshots: named,
    scans,
  };
  return { kind: "result", id, outcome };
}

/** Whether the SQL names the table, as `gold.x` or as `live.x`. */
function isNamed(sql: string, table: string): boolean {
  return sql.toLowerCase().includes(table.slice(table.indexOf(".")).toLowerCase());
}

/** Encodes as many rows as JSON as fit into `max_bytes`. */
function rowsWithin(rows: QueryResult["rows"], max_bytes: number): { text: string; row_count: number } {
  const parts: string[] = [];
  let size_bytes = 2;
  for (const row of rows) {
    const text = JSON.stringify(row);
    size_bytes += Buffer.byteLength(text) + 1;
    if (size_bytes > max_bytes) break;
    parts.push(text);
  }
  return { text: `[${parts.join(",")}]`, row_count: parts.length };
}

/** Exports to the parent's file. The query is a string literal, so that it cannot break out of the COPY statement. */
async function write(
  query: ConsoleEngine["query"],
  sql: string,
  request: Run,
  signal: AbortSignal,
  controller: AbortController,
): Promise<Reply> {
  if (request.kind !== "export") throw new TypeError("only exports are written");
  const { id, format, file } = request;
  if (withoutExplain(request.sql).explain !== "") throw new StatementError("EXPLAIN cannot be exported", null);
  const options = format === "csv" ? "FORMAT csv, HEADER" : "FORMAT parquet, COMPRESSION zstd";
  const source =
    format === "csv" ? safeSelect(sql, await columnsOf(query, sql, signal)) : `FROM query(${quoteText(sql)})`;
  let is_too_large = false;
  const watch = setInterval(() => {
    is_too_large ||= (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > EXPORT_MAX_BYTES;
    if (is_too_large) controller.abort();
  }, CHECK_INTERVAL_MS);
  try {
    const { rows } = await query(`COPY (${source}) TO ${quoteText(file)} (${options})`, { signal });
    const count = Number(rows[0]?.[0] ?? 0);
    if (count > EXPORT_MAX_ROWS) throw tooLarge(`${count} rows, the limit is ${EXPORT_MAX_ROWS}`);
    return { kind: "exported", id, rows: count };
  } catch (error) {
    if (is_too_large) throw tooLarge(`more than ${EXPORT_MAX_BYTES / 1024 ** 2} MB`);
    throw error;
  } finally {
    clearInterval(watch);
  }
}

async function columnsOf(query: ConsoleEngine["query"], sql: string, signal: AbortSignal): Promise<CsvColumn[]> {
  const { rows } = await query(`DESCRIBE FROM query(${quoteText(sql)})`, { signal });
  return rows.map(([name, type]) => ({ name: name ?? "", type: type ?? "" }));
}

function tooLarge(what: string): OperatingError {
  return new OperatingError("QUERY_TOO_LARGE", `The result is too large to export: ${what}`, {
    next_step: "Query fewer rows or columns.",
  });
}

function describeFailure(error: unknown, request: Run, { is_late }: { is_late: boolean }): Failure {
  if (error instanceof StatementError) {
    const position = error.byte_position === null ? null : typedAt(request.sql, error.byte_position);
    return { code: error.code, message: error.message, next_step: error.next_step, position };
  }
  if (!(error instanceof OperatingError))
    return { code: "INTERNAL", message: messageOf(error), next_step: "Try again.", position: null };
  if (is_late && error.code === "QUERY_CANCELLED") {
    const message = `The query exceeded ${request.limits.timeout_ms / 1000} s and was stopped`;
    return {
      code: "QUERY_TIMED_OUT",
      message,
      next_step: "Query less data: a shorter period, fewer columns, a LIMIT.",
      position: null,
    };
  }
  if (error.code === "TABLE_FILE_UNREADABLE") {
    return {
      code: error.code,
      message: duckdbError(error.message).message,
      next_step: error.next_step,
      position: null,
    };
  }
  if (error.code !== "INVALID_SQL")
    return { code: error.code, message: error.message, next_step: error.next_step, position: null };
  const { message, position, type } = duckdbError(error.message);
  const is_memory = type === "Out of Memory";
  return {
    code: is_memory ? "QUERY_OUT_OF_MEMORY" : "INVALID_SQL",
    message,
    next_step: is_memory
      ? "Query less data at once: the console's memory is limited."
      : "Fix the query; GET /api/sql/schema lists tables and columns.",
    position:
      position === null || request.kind === "export"
        ? null
        : typedAt(request.sql, position - withoutExplain(request.sql).explain.length),
  };
}

/** Parses a DuckDB error, which is JSON, sometimes with a prefix. */
function duckdbError(text: string): { message: string; position: number | null; type: string } {
  const start = text.indexOf("{");
  try {
    const { exception_type, exception_message, position } = JSON.parse(text.slice(start)) as Record<string, string>;
    if (exception_message === undefined) return { message: text, position: null, type: "" };
    return {
      message: exception_message,
      position: position === undefined ? null : Number(position),
      type: exception_type ?? "",
    };
  } catch {
    return { message: text, position: null, type: "" };
  }
}

/** Converts a byte offset in the checked part to a UTF-16 offset in the text as typed. */
function typedAt(sql: string, checked_byte: number): number {
  const { prefix, query } = withoutExplain(sql);
  return prefix.length + Buffer.from(query).subarray(0, Math.max(0, checked_byte)).toString("utf8").length;
}

/**
 * Gives ingest and the server priority on the CPU, and makes this process the kernel's first choice when memory runs
 * out.
 */
async function lowerPriority(): Promise<void> {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  if (process.platform === "linux") await writeFile("/proc/self/oom_score_adj", "1000");
}

function watchMemory(): void {
  const watch = setInterval(() => {
    if (process.memoryUsage.rss() < MAX_RSS_BYTES) return;
    const end = () => process.kill(process.pid, "SIGKILL");
    process.send?.(
      { kind: "ending", reason: `it used more than ${MAX_RSS_BYTES / 1024 ** 2} MB of memory` } satisfies Reply,
      end,
    );
    setTimeout(end, CHECK_INTERVAL_MS);
  }, CHECK_INTERVAL_MS);
  watch.unref();
}

/** The parent keeps the last lines of stderr, and shows them when this process ends. */
function report(error: unknown): void {
  process.stderr.write(`${messageOf(error)}\n`);
}

function reply(message: Reply): void {
  // If the parent has exited, the channel is closed and this process ends too.
  if (process.connected) process.send?.(message);
}
