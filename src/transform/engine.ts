import type { OpenLake } from "../lake/open.ts";
import { pythonWith, type InstallOptions } from "../lake/python.ts";
import type { S3Settings } from "../storage/s3/settings.ts";

/**
 * The engine that runs dbt's SQL: DuckDB within dbt, through the REST catalog; or Spark, through Spark Connect
 * (`sc://host:port`).
 */
export type DbtEngine = EmbeddedEngine | SparkEngine;

interface EmbeddedEngine {
  kind: "embedded";
  catalog_url: string;
  /** The lake's name in the catalog (default: the only one). */
  warehouse?: string;
  /** The credentials that the catalog requires; null where it requires none. */
  catalog_token?: string | null;
  /** The S3 access of the tables; null where they are not in S3. */
  s3: S3Settings | null;
}

interface SparkEngine {
  kind: "spark";
  remote: string;
  /** A Python with dbt's adapter for Spark: see `sparkPython`. */
  python: string;
}

/** The engine of the lake's profile. Throws PYTHON_INSTALL_FAILED. */
export async function engineOf(
  open: Pick<OpenLake, "server" | "s3" | "cluster">,
  install: InstallOptions,
): Promise<DbtEngine> {
  if (open.cluster === null) return embeddedEngine(open);
  return { kind: "spark", remote: open.cluster.spark_remote, python: await sparkPython(install) };
}

/** DuckDB in every profile: it compiles the live views, and reads tables that other engines write. */
export function embeddedEngine({ server, s3 }: Pick<OpenLake, "server" | "s3">): DbtEngine {
  return {
    kind: "embedded",
    catalog_url: server.url,
    warehouse: server.warehouse,
    catalog_token: server.token,
    s3,
  };
}

/** A Python with dbt, its adapter for Spark, and Spark's client. Throws PYTHON_INSTALL_FAILED. */
export function sparkPython(install: InstallOptions): Promise<string> {
  return pythonWith({ name: "cluster", title: "dbt's adapter for Spark", size_mb: 500 }, install);
}
