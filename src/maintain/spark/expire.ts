import { isoFromMicros } from "../../clock.ts";
import type { SparkSession } from "../../engine/cluster/spark/session.ts";
import { emptyReport, type ActionReport } from "../parts.ts";
import { CLUSTER_RETENTION } from "../retention.ts";
import { figuresOf, literal, UNLIMITED } from "./tables.ts";

/** Forgets the table's snapshots from before that moment, and deletes the files that none of the others has. The current one stays. */
export async function expire(session: SparkSession, table: string, before_us: number): Promise<ActionReport> {
  const started_ms = performance.now();
  const before = await figuresOf(session, table);
  const [result] = await session.sql(
    `call system.expire_snapshots(table => ${literal(table)}, older_than => timestamp ${literal(isoFromMicros(before_us))}, retain_last => ${CLUSTER_RETENTION.min_snapshots})`,
    UNLIMITED,
  );
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
