import type { OpenLake } from "../lake/open.ts";
import { pythonWith, type InstallOptions } from "../lake/python.ts";
import type { S3Settings } from "../storage/s3/settings.ts";

/** What runs dbt's SQL: DuckDB within dbt, over the REST catalog; or Spark, over Spark Connect (`sc://host:port`). */
export type DbtEngine = EmbeddedEngine | SparkEngine;

interface EmbeddedEngine {
  kind: "embedded";
  catalog_url: string;
  /** What the catalog asks its clients for; null where it asks for nothing. */
  catalog_token?: string | null;
  /** Where tables lie in S3; null where they do not. */
  s3: S3Settings | null;
}

interface SparkEngine {
  kind: "spark";
  remote: string;
  /** One that has dbt's adapter for Spark: see `sparkPython`. */
  python: string;
}

/** Of the lake's profile. Throws PYTHON_INSTALL_FAILED. */
export async function engineOf(
  open: Pick<OpenLake, "server" | "s3" | "cluster">,
  install: InstallOptions,
): Promise<DbtEngine> {
  if (open.cluster === null) return embeddedEngine(open);
  return { kind: "spark", remote: open.cluster.spark_remote, python: await sparkPython(install) };
}

/** DuckDB, whatever the lake's profile: what compiles the live views, and reads tables that others write. */
export function embeddedEngine({ server, s3 }: Pick<OpenLake, "server" | "s3">): DbtEngine {
  return { kind: "embedded", catalog_url: server.url, catalog_token: server.token, s3 };
}

/** A Python that has dbt with its adapter for Spark, and Spark's client. Throws PYTHON_INSTALL_FAILED. */
export function sparkPython(install: InstallOptions): Promise<string> {
  return pythonWith({ name: "cluster", title: "dbt's adapter for Spark", size_mb: 500 }, install);
}
