import { z } from "@hono/zod-openapi";
import { Count, Snapshot, Time } from "./values.ts";

export const SqlText = z.string().min(1).max(100_000);
export const QueryId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

export const SqlRequest = z
  .strictObject({
    sql: SqlText,
    /** Lake time: the tables as they stood then. */
    at: z.string().max(40).optional(),
    max_rows: z.int().min(1).max(100_000).default(10_000),
    /** Chosen by the caller, to cancel by. */
    query_id: QueryId.optional(),
  })
  .openapi("SqlRequest");

const Scan = z
  .object({
    table: z
      .string()
      .nullable()
      .openapi({ description: "Null where no file was left to be read and the query names several tables" }),
    files_read: Count.openapi({
      description:
        "Files that partitions and bounds left and the scan went through; a limit may end it within one more",
    }),
    rows_read: Count.openapi({
      description: "Rows that the scan handed on: not skipped by partition, bounds or filter",
    }),
    files: Count.nullable().openapi({
      description: "Data files of the snapshot; null where a commit came at the same time",
    }),
    rows: Count.nullable().openapi({ description: "Rows of the snapshot; null where `files` is" }),
  })
  .openapi("TableScan");

export const SqlResult = z
  .object({
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    rows: z.array(z.array(z.string().nullable())),
    row_count: Count,
    /** There is more than `rows` holds. */
    is_truncated: z.boolean(),
    /** Why, where it is: rows or bytes. */
    truncated_by: z.enum(["rows", "bytes"]).nullable(),
    elapsed_ms: z.number(),
    /** Lake time of the tables; null for now. */
    at: Time.nullable(),
    snapshots: z.array(Snapshot),
    /** What was read to answer, scan by scan; none where metadata alone answered, and for EXPLAIN. */
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

/** For completion: what can be named in a query. */
export const SqlSchema = z
  .object({
    tables: z.array(
      z.object({
        /** `live.…` reads the tables and what arrived since; bronze, silver and gold as committed. */
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
