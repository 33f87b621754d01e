import { Command } from "commander";
import { quoteText } from "../../engine/embedded/sql.ts";
import { messageOf, OperatingError } from "../../errors.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { parseTime, withLake, type CommonOptions } from "../context.ts";
import { withLive } from "../live.ts";
import { columnsOf, formatTable } from "../format.ts";

/** A table is laid out as a whole, for eyes. */
const MOST_SHOWN_ROWS = 10_000;

export function queryCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("query"))
    .description("run SQL over bronze, silver and gold, as they are or as they were, and over the live views")
    .argument("<sql>", "tables are named layer.table, live views live.table; the dialect is DuckDB's")
    .option("--at <time>", "read the tables as the lake stood at this time (time travel)", parseTime)
    .addHelpText(
      "after",
      `
Examples:
  npm run -s coinlake -- query "select * from gold.fact_crypto_hourly order by hour_at desc limit 5"
  npm run -s coinlake -- query "select * from live.fact_crypto_ticks order by price_at desc limit 5"
  npm run -s coinlake -- query "select count(*) from silver.crypto_prices_clean" --at 2026-01-31T12:00:00Z
  npm run -s coinlake -- query "show all tables"`,
    )
    .action(async (sql: string, options: CommonOptions & { at?: number }) => {
      await withLake(options, pipelines, async ({ lake, pipeline, session, output }) => {
        const at_ms = options.at ?? null;
        const statements = await session.figure(`SELECT json_array_length(json_serialize_sql(${quoteText(sql)}), '$.statements')`);
        // Null where DuckDB has no tree of it, as of an EXPLAIN.
        if (statements !== null && statements !== "1") throw notOneStatement(statements);
        // A string or a comment may say so too, and does no harm: the live views give the same rows, and with --at the tables are asked first.
        const says_live = /\blive"?\s*\./i.test(sql);
        const is_live = says_live && at_ms === null;
        const snapshots = is_live ? [] : await session.travelTo(at_ms);
        if (at_ms !== null && snapshots.length === 0) output.warn(`the lake has no snapshot as old as ${new Date(at_ms).toISOString()}`);
        const { columns, rows } = is_live
          ? await withLive(lake, pipeline, output, (live) => live.query(sql))
          : await session.query(sql).catch((error: unknown) => Promise.reject(says_live ? liveHasNoPast(error) : error));
        if (output.is_json) {
          const objects = rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index] ?? null])));
          output.result(JSON.stringify(objects, null, 2));
        } else {
          output.result(formatTable(columnsOf(columns), rows.slice(0, MOST_SHOWN_ROWS)));
          const count = `${rows.length.toLocaleString("en")} row${rows.length === 1 ? "" : "s"}`;
          output.say(rows.length > MOST_SHOWN_ROWS ? `The first ${MOST_SHOWN_ROWS.toLocaleString("en")} of ${count}; --json gives them all.` : count);
        }
      });
    });
}

function notOneStatement(count: string): OperatingError {
  return new OperatingError("NOT_ONE_STATEMENT", `That is ${count} statements, and one is answered at a time.`, {
    next_step: "Give one, quoted as one argument.",
  });
}

function liveHasNoPast(cause: unknown): OperatingError {
  return new OperatingError("LIVE_HAS_NO_PAST", `The live views are as of now, and --at asks for the past: ${messageOf(cause)}`, {
    next_step: "Name the table itself, as in gold.…, for what it held at that time; or leave --at out.",
    cause,
  });
}
