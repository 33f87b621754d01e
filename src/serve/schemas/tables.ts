import { z } from "@hono/zod-openapi";
import { Retention } from "./maintenance.ts";
import { Count, pageOf, Time } from "./values.ts";

const TableFigures = z.object({
  /** `layer.name`. */
  table: z.string(),
  layer: z.enum(["bronze", "silver", "gold"]),
  rows: Count,
  /** Rows removed by delete files; `rows` already excludes them. */
  deleted_rows: Count,
  size_bytes: Count,
  files: Count,
  delete_files: Count,
  partitions: Count,
  manifests: Count.openapi({ description: "Manifests of the current snapshot" }),
  snapshots: Count.openapi({ description: "Retained snapshots" }),
  oldest_snapshot_at: Time.nullable().openapi({ description: "The earliest time at which the table can be queried" }),
  disk_files: Count.nullable().openapi({
    description:
      "All files in the table's folder, including retained snapshots and metadata; " +
      "measured at most every 30 s, null before the first measurement",
  }),
  disk_bytes: Count.nullable().openapi({ description: "Bytes of all files in the table's folder" }),
  amplification: z
    .number()
    .min(0)
    .nullable()
    .openapi({ description: "Bytes on disk per byte of the current snapshot" }),
  snapshot_id: z.string().nullable(),
  committed_at: Time.nullable(),
  commits_last_minute: Count,
});

export const TableSummary = TableFigures.openapi("TableSummary");

export const TableDetail = TableFigures.extend({
  location: z.string(),
  format_version: z.int(),
  columns: z.array(
    z.object({ name: z.string(), type: z.string(), is_required: z.boolean(), description: z.string().nullable() }),
  ),
  partition_by: z.array(z.string()),
  properties: z.record(z.string(), z.string()),
  retention: Retention,
  by_partition: z.array(
    z.object({ partition: z.string(), rows: Count, files: Count, delete_files: Count, size_bytes: Count }),
  ),
}).openapi("TableDetail");

export const SnapshotDetail = z
  .object({
    snapshot_id: z.string(),
    parent_id: z.string().nullable(),
    sequence_number: z.string(),
    committed_at: Time,
    operation: z.string(),
    /** The engine that committed it, according to the snapshot's summary. */
    committer: z.string(),
    added_rows: Count.nullable(),
    deleted_rows: Count.nullable(),
    added_files: Count.nullable(),
    total_rows: Count.nullable(),
    total_files: Count.nullable(),
    total_size_bytes: Count.nullable(),
    summary: z.record(z.string(), z.string()),
    /** False for a commit's intermediate snapshot, which was never the table's current one. */
    was_current: z.boolean(),
  })
  .openapi("SnapshotDetail");

export const DataFile = z
  .object({
    path: z.string(),
    content: z.enum(["data", "position_deletes", "equality_deletes"]),
    partition: z.string(),
    rows: Count,
    size_bytes: Count,
    snapshot_id: z.string().nullable(),
  })
  .openapi("DataFile");

export const Tables = z.object({ items: z.array(TableSummary), next: z.string().nullable() }).openapi("Tables");
export const Snapshots = pageOf(SnapshotDetail).openapi("Snapshots");
export const Files = pageOf(DataFile).openapi("Files");

export type TableSummary = z.infer<typeof TableSummary>;
export type TableDetail = z.infer<typeof TableDetail>;
export type SnapshotDetail = z.infer<typeof SnapshotDetail>;
export type DataFile = z.infer<typeof DataFile>;
export type Tables = z.infer<typeof Tables>;
