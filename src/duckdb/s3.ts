import type { DuckDBConnection } from "@duckdb/node-api";
import type { S3Settings } from "../storage/s3/settings.ts";
import { quoteText } from "./sql.ts";

/** DuckDB expects an endpoint without its scheme. */
export function duckDBEndpoint({ endpoint }: S3Settings): { endpoint: string; use_ssl: string } {
  const { protocol, host, pathname } = new URL(endpoint);
  return { endpoint: `${host}${pathname.replace(/\/+$/, "")}`, use_ssl: String(protocol === "https:") };
}

/**
 * DuckDB's settings for requests that fail: one try a second for half a minute. A query waits for a store that
 * restarts. DuckDB's own half second would fail the query, and end the whole process where a manifest was being read:
 * its Iceberg extension (1.5) throws that error once more in a destructor. Only an outage that begins within a read,
 * after the catalog has inspected the table, and lasts longer still does that.
 */
export const S3_RETRIES = { http_retries: 31, http_retry_wait_ms: 1_000, http_retry_backoff: 1 } as const;

/**
 * Lets every connection of the instance read and write `s3://`. The credentials stay in memory; DuckDB does not expose
 * them to queries.
 */
export async function openS3(connection: DuckDBConnection, settings: S3Settings): Promise<void> {
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
  for (const [name, value] of Object.entries(S3_RETRIES)) await connection.run(`SET GLOBAL ${name} = ${value}`);
}
