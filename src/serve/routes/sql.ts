import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { ReadableStream as WebStream } from "node:stream/web";
import { z } from "@hono/zod-openapi";
import type { LoadedTable } from "../../iceberg/model.ts";
import { nameOfTable } from "../../iceberg/errors.ts";
import { readBody, register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { QueryId, SqlExportRequest, SqlRequest, SqlResult, SqlSchema } from "../schemas/sql.ts";
import { Problem } from "../schemas/values.ts";
import { parseInstant_ms } from "../../base/instant.ts";

const TYPES = { csv: "text/csv; charset=utf-8", parquet: "application/vnd.apache.parquet" } as const;
const SCHEMA_MS = { fresh_ms: 10_000, stale_ms: 60_000 };
const DURATION = [
  "coinlake_console_query_seconds",
  "Duration of console queries, including the start of the process.",
] as const;

/** The read-only SQL console, which runs in a separate process. */
export function sqlRoutes(app: App, dependencies: ServerDependencies): void {
  const { console, metrics } = dependencies;
  register(app, {
    method: "post",
    path: "/api/sql",
    tag: "SQL",
    summary: "Run one query over bronze, silver and gold (as committed) or live (with newer records)",
    description:
      "Read-only, without access to files, network, extensions and settings. A query stops after 30 s; " +
      "DELETE /api/sql/{query_id} cancels it. Values are strings.",
    body: SqlRequest,
    response: SqlResult,
    async handle({ body, context }) {
      const at_ms = body.at === undefined ? null : parseInstant_ms(body.at);
      const started_ms = performance.now();
      const query = {
        sql: body.sql,
        at_ms,
        query_id: body.query_id ?? null,
        max_rows: body.max_rows,
        signal: context.req.raw.signal,
      };
      const { rows_json, truncated_by, ...outcome } = await console
        .run(query)
        .finally(() => metrics.observe(...DURATION, (performance.now() - started_ms) / 1000));
      const frame = {
        ...outcome,
        is_truncated: truncated_by !== null,
        truncated_by,
        at: at_ms === null ? null : new Date(at_ms).toISOString(),
      };
      // The console's process already encoded the rows as JSON.
      const text = `${JSON.stringify(frame).slice(0, -1)},"rows":${rows_json}}`;
      return context.body(text, 200, { "content-type": "application/json", "cache-control": "no-store" });
    },
  });
  register(app, {
    method: "delete",
    path: "/api/sql/{query_id}",
    tag: "SQL",
    summary: "Cancel a running query",
    params: z.object({ query_id: QueryId }),
    response: null,
    handle: async ({ params }) => console.cancel(params.query_id),
  });
  register(app, {
    method: "get",
    path: "/api/sql/schema",
    tag: "SQL",
    summary: "List tables, columns, functions and keywords for completion",
    response: SqlSchema,
    handle: () => dependencies.reader.cache.get("sql schema", SCHEMA_MS, () => schemaOf(dependencies)),
  });
  exportRoute(app, dependencies);
}

/**
 * Ends the connection in the middle of the file if the export is cancelled, so that the client does not take a part for
 * the whole. An error of the stream would do so too, but would be printed as one of the server.
 */
async function* untilCancelled(stream: Readable, response: ServerResponse): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    if (!(error instanceof Error && error.name === "AbortError")) throw error;
    response.destroy();
  }
}

function exportRoute(app: App, { console }: ServerDependencies): void {
  app.post("/api/sql/export", async (context) => {
    const body = await readBody(context, SqlExportRequest);
    const at_ms = body.at === undefined ? null : parseInstant_ms(body.at);
    const stream = await console.export({
      sql: body.sql,
      at_ms,
      query_id: body.query_id ?? null,
      format: body.format,
      signal: context.req.raw.signal,
    });
    const file = WebStream.from(untilCancelled(stream, context.env.outgoing));
    return context.body(file as ReadableStream, 200, {
      "content-type": TYPES[body.format],
      "content-disposition": `attachment; filename="coinlake.${body.format}"`,
      "cache-control": "no-store",
    });
  });
  const file = (type: string) => ({ [type]: { schema: { type: "string" as const, format: "binary" } } });
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/api/sql/export",
    tags: ["SQL"],
    summary: "Export a query's result as a CSV or Parquet file, up to 5 million rows",
    request: { body: { required: true, content: { "application/json": { schema: SqlExportRequest } } } },
    responses: {
      200: { description: "The file", content: { ...file("text/csv"), ...file("application/vnd.apache.parquet") } },
      default: {
        description: "Problem details (RFC 9457)",
        content: { "application/problem+json": { schema: Problem } },
      },
    },
  });
}

/** Committed tables by layer, and each as `live.…` too. */
async function schemaOf({ tables, reader }: ServerDependencies): Promise<z.input<typeof SqlSchema>> {
  const loaded = await tables.all();
  const committed = loaded.map((table) => ({
    schema: table.identifier.namespace[0] ?? "",
    name: table.identifier.name,
    columns: columnsOf(table),
  }));
  const functions = await reader.query(
    `SELECT DISTINCT function_name FROM duckdb_functions()
    WHERE function_name ~ '^[a-z][a-z0-9_]*$' AND function_type IN ('scalar', 'aggregate', 'macro')
      AND NOT starts_with(function_name, 'icu_collate')
    ORDER BY 1`,
  );
  const keywords = await reader.query(
    "SELECT upper(keyword_name) FROM duckdb_keywords() WHERE keyword_category = 'reserved' ORDER BY 1",
  );
  return {
    tables: [...committed.map((table) => ({ ...table, schema: "live" })), ...committed],
    functions: functions.rows.flatMap(([name]) => name ?? []),
    keywords: keywords.rows.flatMap(([name]) => name ?? []),
  };
}

function columnsOf(table: LoadedTable): { name: string; type: string; description: string | null }[] {
  const { metadata } = table;
  const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
  if (schema === undefined) throw new TypeError(`${nameOfTable(table.identifier)} has no current schema`);
  return schema.fields.map(({ name, type, doc }) => ({
    name,
    type: typeof type === "string" ? type : "nested",
    description: doc ?? null,
  }));
}
