import { isoFromMicros } from "../../base/clock.ts";
import type { SparkSession } from "../../spark/session.ts";
import { emptyReport, type ActionReport } from "../parts.ts";
import { figuresOf, literal, UNLIMITED } from "./tables.ts";

/**
 * Deletes orphan files in the table's folder. Files younger than the given moment stay, because a writer may be about
 * to commit them; Iceberg rejects ages below one day.
 */
export async function removeOrphans(session: SparkSession, table: string, before_us: number): Promise<ActionReport> {
  const started_ms = performance.now();
  const before = await figuresOf(session, table);
  // Lists with Iceberg's S3 client, because Hadoop's is not installed.
  const rows = await session.sql(
    `call system.remove_orphan_files(table => ${literal(table)}, ` +
      `older_than => timestamp ${literal(isoFromMicros(before_us))}, prefix_listing => true)`,
    UNLIMITED,
  );
  const removed = rows.map(({ orphan_file_location }) => String(orphan_file_location));
  return {
    ...emptyReport("orphans", table, before),
    deleted_files: removed.length,
    removed,
    seconds: (performance.now() - started_ms) / 1000,
  };
}
