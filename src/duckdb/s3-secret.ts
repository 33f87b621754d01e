import type { DuckDBConnection } from "@duckdb/node-api";
import type { S3Settings } from "../storage/s3/settings.ts";
import { quoteText } from "./sql.ts";

/** DuckDB expects an endpoint without its scheme. */
export function duckDBEndpoint({ endpoint }: S3Settings): { endpoint: string; use_ssl: string } {
  const { protocol, host, pathname } = new URL(endpoint);
  return { endpoint: `${host}${pathname.replace(/\/+$/, "")}`, use_ssl: String(protocol === "https:") };
}

/**
 * Lets every connection of the instance read and write `s3://`. The credentials stay in memory; DuckDB does not expose
 * them to queries.
 */
export async function createS3Secret(connection: DuckDBConnection, settings: S3Settings): Promise<void> {
  const options = {
    key_id: settings.access_key_id,
    secret: settings.secret_access_key,
    ...(settings.session_token === null ? {} : { session_token: settings.session_token }),
    region: settings.region,
    url_style: "path",
    ...duckDBEndpoint(settings),
  };
  const listed = Object.entries(options).map(([name, value]) => `${name} ${quoteText(value)}`);
  await connection.run(`CREATE OR REPLACE SECRET coinlake_s3 (TYPE s3, ${listed.join(", ")})`);
}
