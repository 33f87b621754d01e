import { z } from "@hono/zod-openapi";
import { CLUSTER_RETENTION, DEFAULT_RETENTION, describeRetention } from "../../maintain/retention.ts";
import { recordedRuns } from "../../maintain/store.ts";
import { COMPACT_AFTER_COMMITS } from "../../maintain/schedule.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { Maintenance, type Retention } from "../schemas/maintenance.ts";
import { PageQuery } from "../schemas/values.ts";
import type { PipelineHandle } from "../pipeline-handle.ts";

const RunsQuery = PageQuery.extend({
  table: z.string().max(200).optional().openapi({ description: "Only runs on this table, as `layer.name`" }),
});

/** Runs of compaction, snapshot expiry and orphan removal. */
export function maintenanceRoutes(app: App, { handle }: ServerDependencies): void {
  register(app, {
    method: "get",
    path: "/api/lake/maintenance",
    tag: "Lake",
    summary: "List maintenance runs with figures before and after, newest first",
    query: RunsQuery,
    response: Maintenance,
    async handle({ query: { table, limit, cursor } }) {
      const before_id = decodeCursor(cursor, z.int().min(0));
      // One run more than requested tells whether there is a next page.
      const runs = recordedRuns(handle.open.lake.folder, {
        limit: limit + 1,
        ...(table !== undefined && { table }),
        ...(before_id !== null && { before_id }),
      });
      const items = runs.slice(0, limit);
      const last = items.at(-1);
      return {
        items,
        next: runs.length > limit && last !== undefined ? encodeCursor(last.id) : null,
        compacts_after_commits: isInCluster(handle) ? null : COMPACT_AFTER_COMMITS,
      };
    },
  });
}

/** The snapshot retention policy, which sets the resolution of time travel. */
export function retentionOf(handle: PipelineHandle): Retention {
  const policy = isInCluster(handle) ? CLUSTER_RETENTION : DEFAULT_RETENTION;
  return {
    description: describeRetention(policy),
    tiers: policy.tiers.map(({ within_ms, every_ms }) => ({
      within_s: Number.isFinite(within_ms) ? within_ms / 1000 : null,
      every_s: every_ms / 1000,
    })),
    min_snapshots: policy.min_snapshots,
  };
}

function isInCluster({ open }: PipelineHandle): boolean {
  return open.cluster !== null;
}
