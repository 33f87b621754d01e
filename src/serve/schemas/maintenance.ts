import { z } from "@hono/zod-openapi";
import { Count, Time } from "./values.ts";

const MaintainedTable = z.object({
  files: Count.openapi({ description: "Data files of the newest snapshot" }),
  delete_files: Count,
  size_bytes: Count.openapi({ description: "Bytes of data and delete files" }),
  rows: Count.openapi({ description: "Rows that readers see" }),
  manifests: Count,
  snapshots: Count,
});

export const MaintenanceRun = z
  .object({
    id: Count,
    started_at: Time,
    action: z.enum(["compact", "expire", "orphans"]),
    table: z.string(),
    before: MaintainedTable,
    after: MaintainedTable,
    rewritten_files: Count.openapi({ description: "Files read and replaced" }),
    rewritten_bytes: Count,
    added_files: Count.openapi({ description: "Files written by the run" }),
    added_bytes: Count,
    deleted_files: Count.openapi({ description: "Files deleted from storage" }),
    expired_snapshots: Count,
    conflicts: Count.openapi({ description: "Attempts that lost to another writer's commit and were planned again" }),
    seconds: z.number().min(0),
    strategy: z
      .string()
      .optional()
      .openapi({ description: "How compaction merged files, if there is more than one way" }),
  })
  .openapi("MaintenanceRun");

export const Maintenance = z
  .object({
    items: z.array(MaintenanceRun),
    next: z.string().nullable(),
    compacts_after_commits: Count.nullable().openapi({
      description:
        "Commits of a table after which this process compacts it at the latest; null if an external scheduler runs " +
        "maintenance",
    }),
  })
  .openapi("Maintenance");

export const Retention = z
  .object({
    description: z
      .string()
      .openapi({ example: "every snapshot of the last 30 minutes, then one per 30 minutes up to 1 day" }),
    tiers: z
      .array(
        z.object({
          within_s: z
            .number()
            .nullable()
            .openapi({ description: "Age up to which the tier applies; null for any age" }),
          every_s: z
            .number()
            .openapi({ description: "One snapshot is retained in each such period; 0 for all snapshots" }),
        }),
      )
      .openapi({ description: "By age, youngest first" }),
    min_snapshots: Count.openapi({ description: "Newest snapshots that are retained at any age" }),
  })
  .openapi("Retention");

export type MaintenanceRun = z.infer<typeof MaintenanceRun>;
export type Maintenance = z.infer<typeof Maintenance>;
export type Retention = z.infer<typeof Retention>;
