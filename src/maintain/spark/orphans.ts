import { isoFromMicros } from "../../clock.ts";
import type { SparkSession } from "../../engine/cluster/spark/session.ts";
import { literal, UNLIMITED } from "./tables.ts";

export interface OrphanRemoval {
  table: string;
  /** Locations of the files that no snapshot and no metadata of the table names. */
  removed: string[];
}

/**
 * Deletes what lies in the table's folder and belongs to no state of it: files of commits that were never made. Files younger than
 * the moment given stay, because a writer may be about to commit them; Iceberg refuses less than a day.
 */
export async function removeOrphans(session: SparkSession, table: string, before_us: number): Promise<OrphanRemoval> {
  // Listed by Iceberg's own client of S3, which wrote the files: Hadoop's is not there.
  const rows = await session.sql(
    `call system.remove_orphan_files(table => ${literal(table)}, older_than => timestamp ${literal(isoFromMicros(before_us))}, prefix_listing => true)`,
    UNLIMITED,
  );
  return { table, removed: rows.map(({ orphan_file_location }) => String(orphan_file_location)) };
}
