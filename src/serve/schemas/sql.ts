import { z } from "@hono/zod-openapi";
import { Count, Snapshot, Time } from "./values.ts";

export const SqlText = z.string().min(1).max(100_000);
export const QueryId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

export const SqlRequest = z
  .strictObject({
    sql: SqlText,
    /** Lake time: reads the snapshots that were current then. */
    at: z.string().max(40).optional(),
    max_rows: z.int().min(1).max(100_000).default(10_000),
    /** Chosen by the client, for cancelling. */
    query_id: QueryId.optional(),
  })
  .openapi("SqlRequest");

const Scan = z
  .object({
    table: z
      .string()
      .nullable()
      .openapi({ description: "Null if all files were skipped and the query names several tables" }),
    files_read: Count.openapi({
      description: "Files scanned, after skipping by partition and bounds; a limit may end the scan within one more",
    }),
    rows_read: Count.openapi({
      description: "Rows that the scan returned, after skipping by partition, bounds and filter",
    }),
    files: Count.nullable().openapi({
      description: "Data files of the snapshot; null if a concurrent commit makes it uncertain",
    }),
    rows: Count.nullable().openapi({ description: "Rows of the snapshot; null if `files` is null" }),
  })
  .openapi("TableScan");

export const SqlResult = z
  .object({
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    rows: z.array(z.array(z.string().nullable())),
    row_count: Count,
    /** Whether the result has more rows than `rows`. */
    is_truncated: z.boolean(),
    /** The limit that truncated the result. */
    truncated_by: z.enum(["rows", "bytes"]).nullable(),
    elapsed_ms: z.number(),
    /** Lake time of the tables; null for now. */
    at: Time.nullable(),
    snapshots: z.array(Snapshot),
    /** Table scans of the query; empty if metadata alone answered it, and for EXPLAIN. */
    scans: z.array(Scan),
  })
  .openapi("SqlResult");

export const SqlExportRequest = z
  .strictObject({
    sql: SqlText,
    at: z.string().max(40).optional(),
    format: z.enum(["csv", "parquet"]),
    query_id: QueryId.optional(),
  })
  .openapi("SqlExportRequest");

/** Names for completion in the editor. */
export const SqlSchema = z
  .object({
    tables: z.array(
      z.object({
        /** `live.…` adds records that are not committed yet; bronze, silver and gold are as committed. */
        schema: z.string(),
        name: z.string(),
        columns: z.array(z.object({ name: z.string(), type: z.string(), description: z.string().nullable() })),
      }),
    ),
    functions: z.array(z.string()),
    keywords: z.array(z.string()),
  })
  .openapi("SqlSchema");

export type SqlRequest = z.input<typeof SqlRequest>;
export type SqlResult = z.infer<typeof SqlResult>;
export type SqlExportRequest = z.infer<typeof SqlExportRequest>;
export type SqlSchema = z.infer<typeof SqlSchema>;
