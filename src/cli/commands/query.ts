import { Command, Option } from "commander";
import { csvValue, neutral } from "../../duckdb/safe-csv.ts";
import { quoteText } from "../../duckdb/sql.ts";
import { messageOf, OperatingError } from "../../base/errors.ts";
import { trimDecimal } from "../../pipeline/decimal-text.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { parseTime, withLake, type CommonOptions, type ReadingContext } from "../context.ts";
import { withLive } from "../live.ts";
import { columnsOf } from "../format.ts";
import type { Output } from "../output.ts";
import { readSql } from "../sql-text.ts";
import { formatCsv, formatTable, type TableLayout } from "../table.ts";
import { layoutOf, withTableOptions, type TableOptions } from "../table-options.ts";

/** Maximum rows of a printed table: its layout needs all of them in memory. */
const MOST_SHOWN_ROWS = 10_000;

type QueryOptions = CommonOptions & TableOptions & { at?: number; file?: string; csv?: boolean };

export function queryCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withTableOptions(withCommon(new Command("query")))
    .description("run SQL over bronze, silver, gold and the live views")
    .argument("[sql]", "DuckDB SQL over layer.table or live.table; - reads standard input")
    .option("-f, --file <file>", "read the SQL from a file")
    .option("--at <time>", "query tables as of this time (default: now)", parseTime)
    .addOption(
      new Option("--csv", "print CSV, with text that looks like a formula escaped").conflicts([
        "json",
        "vertical",
        "wide",
      ]),
    )
    .addHelpText(
      "after",
      `
Examples:
  npm run -s coinlake -- query "select * from gold.fact_crypto_hourly order by hour_at desc limit 5"
  npm run -s coinlake -- query "select * from live.fact_crypto_ticks order by price_at desc limit 5"
  npm run -s coinlake -- query "select count(*) from silver.crypto_prices_clean" --at 2026-01-31T12:00:00Z
  npm run -s coinlake -- query "show all tables"
  npm run -s coinlake -- query -f report.sql --csv > report.csv`,
    )
    .action(async (argument: string | undefined, options: QueryOptions, command: Command) => {
      if (argument !== undefined && options.file !== undefined)
        command.error("error: give the SQL as an argument or with --file, not both");
      const sql = await readSql(argument, options.file);
      await withLake(options, pipelines, async (context) => {
        const { columns, rows } = await runQuery(context, sql, options.at ?? null);
        const { output } = context;
        if (output.is_json) output.result(formatJson(columns, rows));
        else if (options.csv) output.result(csvOf(columns, rows));
        else printTable(output, columns, rows, layoutOf(options));
      });
    });
}

/** Runs one statement over the tables as of `at_ms`, or over the current tables and live views where that is null. */
async function runQuery({ open, pipeline, session, output }: ReadingContext, sql: string, at_ms: number | null) {
  const statements = await session.figure(
    `SELECT json_array_length(json_serialize_sql(${quoteText(sql)}), '$.statements')`,
  );
  // Null for statements that DuckDB cannot serialize, such as EXPLAIN.
  if (statements !== null && statements !== "1") throw notOneStatement(statements);
  // A match in a string or comment is harmless: the live session returns the same rows, and --at reads tables.
  const says_live = /\blive"?\s*\./i.test(sql);
  if (says_live && at_ms === null) return withLive(open, pipeline, output, (live) => live.query(sql));
  const snapshots = await session.travelTo(at_ms);
  if (at_ms !== null && snapshots.length === 0)
    output.warn(`no snapshot of the lake is as old as ${new Date(at_ms).toISOString()}`);
  return session.query(sql).catch((error: unknown) => Promise.reject(says_live ? liveHasNoPast(error) : error));
}

function formatJson(columns: ResultColumns, rows: readonly Row[]): string {
  const objects = rows.map((row) =>
    Object.fromEntries(columns.map(({ name }, index) => [name, plainValue(columns, row, index)])),
  );
  return JSON.stringify(objects, null, 2);
}

function csvOf(columns: ResultColumns, rows: readonly Row[]): string {
  return formatCsv(
    columns.map(({ name }) => neutral(name)),
    rows.map((row) => row.map((_, index) => csvCell(columns, row, index))),
  );
}

function printTable(output: Output, columns: ResultColumns, rows: readonly Row[], layout: Partial<TableLayout>): void {
  output.result(formatTable(columnsOf(columns), rows.slice(0, MOST_SHOWN_ROWS), layout));
  const count = `${rows.length.toLocaleString("en")} row${rows.length === 1 ? "" : "s"}`;
  output.say(
    rows.length > MOST_SHOWN_ROWS
      ? `The first ${MOST_SHOWN_ROWS.toLocaleString("en")} of ${count}; --csv and --json print all.`
      : count,
  );
}

type Row = readonly (string | null)[];
type ResultColumns = readonly { name: string; type: string }[];

/** The value as DuckDB prints it, without the zeros that pad a DECIMAL to its scale. */
function plainValue(columns: ResultColumns, row: Row, index: number): string | null {
  const value = row[index] ?? null;
  return value !== null && columns[index]?.type.startsWith("DECIMAL") ? trimDecimal(value) : value;
}

function csvCell(columns: ResultColumns, row: Row, index: number): string | null {
  const value = plainValue(columns, row, index);
  return value === null ? null : csvValue(value, columns[index]?.type ?? "");
}

function notOneStatement(count: string): OperatingError {
  return new OperatingError("NOT_ONE_STATEMENT", `Only one statement per query is allowed; got ${count}`, {
    next_step: "Give one SQL statement, quoted as one argument.",
  });
}

function liveHasNoPast(cause: unknown): OperatingError {
  return new OperatingError("LIVE_HAS_NO_PAST", `Live views do not support --at: ${messageOf(cause)}`, {
    next_step: "Query the table itself, such as gold.…, with --at; or omit --at.",
    cause,
  });
}
