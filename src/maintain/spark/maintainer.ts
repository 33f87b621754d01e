import { isoFromMicros, type Clock } from "../../base/clock.ts";
import type { SparkSession } from "../../spark/session.ts";
import { LAYERS } from "../../lake/layers.ts";
import type { Lake } from "../../lake/lake.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import type { Maintainer } from "../maintainer.ts";
import type { ActionName, ActionReport } from "../parts.ts";
import { CLUSTER_RETENTION_MS } from "../retention.ts";
import { ACTIONS, type MaintenanceOptions } from "../run.ts";
import type { MaintenanceStore } from "../store.ts";
import { compact } from "./compact.ts";
import { expire } from "./expire.ts";
import { removeOrphans } from "./orphans.ts";
import { tablesOf } from "./tables.ts";

export interface SparkOptions {
  session: SparkSession;
  lake: Lake;
  pipeline: Pipeline;
  store: MaintenanceStore;
  clock: Clock;
}

const DAY_MS = 86_400_000;
/** Commits take minutes at most; Iceberg rejects ages below one day. */
export const ORPHAN_AGE_MS = 3 * DAY_MS;

/**
 * Maintenance by Spark's procedures, which use the cluster's memory and cores and resolve conflicts with its writers.
 */
export function sparkMaintainer({ session, lake, pipeline, store, clock }: SparkOptions): Maintainer {
  const run = (table: string, action: ActionName, options: MaintenanceOptions): Promise<ActionReport> => {
    const before_us = (age_ms: number): number => clock.now_us() - age_ms * 1000;
    if (action === "compact")
      return compact(session, table, pipeline.maintenance.z_order[table], options.compact?.target_size_bytes);
    if (action === "expire") {
      const { snapshot_ids, policy } = options.expire ?? {};
      return expire(
        session,
        table,
        snapshot_ids === undefined
          ? { before_us: before_us(policy?.tiers[0]?.within_ms ?? CLUSTER_RETENTION_MS) }
          : { snapshot_ids },
      );
    }
    return removeOrphans(session, table, before_us(options.orphans?.older_than_ms ?? ORPHAN_AGE_MS));
  };
  return {
    tables: () => tablesOf(session, LAYERS, lake.name),
    async maintain(table, actions, options) {
      const reports: ActionReport[] = [];
      for (const action of ACTIONS.filter((candidate) => actions.includes(candidate))) {
        const started_at = isoFromMicros(clock.now_us());
        const report = await run(table, action, options);
        store.record(started_at, report);
        reports.push(report);
      }
      return reports;
    },
  };
}
