import type { DuckDBConnection } from "@duckdb/node-api";
import type { S3Settings } from "../../storage/s3/settings.ts";
import { quoteText } from "./sql.ts";

/** Lets every connection of the instance read and write `s3://`. The credentials stay in memory, and DuckDB shows them to no query. */
export async function createS3Secret(connection: DuckDBConnection, settings: S3Settings): Promise<void> {
  const { protocol, host, pathname } = new URL(settings.endpoint);
  const options = {
    key_id: settings.access_key_id,
    secret: settings.secret_access_key,
    ...(settings.session_token === null ? {} : { session_token: settings.session_token }),
    region: settings.region,
    endpoint: `${host}${pathname.replace(/\/+$/, "")}`,
    url_style: "path",
    use_ssl: String(protocol === "https:"),
  };
  const listed = Object.entries(options).map(([name, value]) => `${name} ${quoteText(value)}`);
  await connection.run(`CREATE OR REPLACE SECRET coinlake_s3 (TYPE s3, ${listed.join(", ")})`);
}
