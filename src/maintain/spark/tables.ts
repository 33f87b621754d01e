import { SparkRefused } from "../../engine/cluster/spark/failure.ts";
import type { SparkSession } from "../../engine/cluster/spark/session.ts";
import { LAKE_PROPERTY } from "../../lake/lake.ts";

/** What of a table lies where, as Spark reads it from the table's own metadata. */
export interface TableFigures {
  files: number;
  size_bytes: number;
  /** Files of deletes that readers have to apply. */
  delete_files: number;
  snapshots: number;
}

/** Rewriting a large table takes as long as it takes; Airflow, or whoever waits, knows when that is too long. */
export const UNLIMITED = { timeout_ms: null } as const;

/** A lake's tables as `layer.table`, by layer: those in namespaces that say that they are its own. */
export async function tablesOf(session: SparkSession, layers: readonly string[], lake_name: string): Promise<string[]> {
  const tables: string[] = [];
  for (const layer of layers) {
    const described = await rowsOrNone(session, `describe namespace extended ${layer}`);
    const properties = String(described.find(({ info_name }) => info_name === "Properties")?.info_value);
    if (!properties.includes(`(${LAKE_PROPERTY},${lake_name})`)) continue;
    const rows = await rowsOrNone(session, `show tables in ${layer}`);
    tables.push(...rows.filter(({ isTemporary }) => isTemporary !== true).map(({ tableName }) => `${layer}.${String(tableName)}`).sort());
  }
  return tables;
}

/** A layer that has no table yet may not be there. */
async function rowsOrNone(session: SparkSession, statement: string) {
  try {
    return await session.sql(statement);
  } catch (error) {
    if (error instanceof SparkRefused && error.condition === "SCHEMA_NOT_FOUND") return [];
    throw error;
  }
}

export async function figuresOf(session: SparkSession, table: string): Promise<TableFigures> {
  const [files] = await session.sql(`
    select
      count_if(content = 0) as files,
      coalesce(sum(file_size_in_bytes), 0) as size_bytes,
      count_if(content <> 0) as delete_files
    from ${table}.files`);
  const [snapshots] = await session.sql(`select count(*) as snapshots from ${table}.snapshots`);
  return { files: Number(files?.files), size_bytes: Number(files?.size_bytes), delete_files: Number(files?.delete_files), snapshots: Number(snapshots?.snapshots) };
}

/** Text as a literal of Spark's SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
