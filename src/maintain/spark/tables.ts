import { SparkRejected } from "../../spark/failure.ts";
import type { SparkSession } from "../../spark/session.ts";
import { LAKE_PROPERTY } from "../../lake/lake.ts";
import type { TableFigures } from "../parts.ts";

/** Rewriting a large table may take hours; the caller, such as Airflow, limits the time. */
export const UNLIMITED = { timeout_ms: null } as const;

/** A lake's tables named `layer.table`, from namespaces that are marked as its own. */
export async function tablesOf(session: SparkSession, layers: readonly string[], lake_name: string): Promise<string[]> {
  const tables: string[] = [];
  for (const layer of layers) {
    const described = await rowsOrNone(session, `describe namespace extended ${layer}`);
    const properties = String(described.find(({ info_name }) => info_name === "Properties")?.info_value);
    if (!properties.includes(`(${LAKE_PROPERTY},${lake_name})`)) continue;
    const rows = await rowsOrNone(session, `show tables in ${layer}`);
    tables.push(
      ...rows
        .filter(({ isTemporary }) => isTemporary !== true)
        .map(({ tableName }) => `${layer}.${String(tableName)}`)
        .sort(),
    );
  }
  return tables;
}

/** A layer without tables may not exist yet. */
async function rowsOrNone(session: SparkSession, statement: string) {
  try {
    return await session.sql(statement);
  } catch (error) {
    if (error instanceof SparkRejected && error.condition === "SCHEMA_NOT_FOUND") return [];
    throw error;
  }
}

/** Statistics that Spark reads from the table's metadata. */
export async function figuresOf(session: SparkSession, table: string): Promise<TableFigures> {
  const [files] = await session.sql(`
    select
      count_if(content = 0) as files,
      count_if(content <> 0) as delete_files,
      coalesce(sum(file_size_in_bytes), 0) as size_bytes,
      coalesce(sum(case content when 0 then record_count when 1 then -record_count end), 0) as row_count,
      (select count(*) from ${table}.manifests) as manifests,
      (select count(*) from ${table}.snapshots) as snapshots
    from ${table}.files`);
  const figure = (name: string): number => Number(files?.[name]);
  return {
    files: figure("files"),
    delete_files: figure("delete_files"),
    size_bytes: figure("size_bytes"),
    rows: figure("row_count"),
    manifests: figure("manifests"),
    snapshots: figure("snapshots"),
  };
}

/** Text as a literal of Spark's SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
