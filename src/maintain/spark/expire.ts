import type { Long } from "../../iceberg/model.ts";
import { isoFromMicros } from "../../base/clock.ts";
import type { SparkSession } from "../../spark/session.ts";
import { emptyReport, type ActionReport } from "../parts.ts";
import { CLUSTER_RETENTION } from "../retention.ts";
import { figuresOf, literal, UNLIMITED } from "./tables.ts";

/**
 * Removes the table's snapshots from before that moment, or the given ones, and the files that no other snapshot needs.
 * The current snapshot stays.
 */
export async function expire(
  session: SparkSession,
  table: string,
  which: { before_us: number } | { snapshot_ids: readonly Long[] },
): Promise<ActionReport> {
  const started_ms = performance.now();
  const before = await figuresOf(session, table);
  const expired =
    "snapshot_ids" in which
      ? `snapshot_ids => array(${which.snapshot_ids.map((id) => `${id}L`).join(", ")})`
      : `older_than => timestamp ${literal(isoFromMicros(which.before_us))}, retain_last => ` +
        `${CLUSTER_RETENTION.min_snapshots}`;
  const [result] = await session.sql(`call system.expire_snapshots(table => ${literal(table)}, ${expired})`, UNLIMITED);
  const deleted = Object.entries(result ?? {}).filter(([name]) => name.startsWith("deleted_"));
  const after = await figuresOf(session, table);
  return {
    ...emptyReport("expire", table, before),
    after,
    deleted_files: deleted.reduce((sum, [, count]) => sum + Number(count), 0),
    expired_snapshots: before.snapshots - after.snapshots,
    seconds: (performance.now() - started_ms) / 1000,
  };
}
