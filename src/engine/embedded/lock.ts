import type { DuckDBConnection } from "@duckdb/node-api";
import { quoteText } from "./sql.ts";

/** What fits nowhere is an error, not a full disk. */
const MAX_SPILL = "1GB";

/**
 * From now on nothing in this DuckDB reaches beyond `places` (folders and URLs): no other file, no network, no extension, and
 * no setting that could take it back. Errors come as JSON, so that their place in the SQL can be told.
 */
export async function lockDown(connection: DuckDBConnection, places: readonly string[]): Promise<void> {
  const settings: readonly (readonly [name: string, value: string])[] = [
    ["allowed_directories", `[${places.map((place) => quoteText(place.endsWith("/") ? place : `${place}/`)).join(", ")}]`],
    ["max_temp_directory_size", quoteText(MAX_SPILL)],
    ["autoinstall_known_extensions", "false"],
    ["autoload_known_extensions", "false"],
    ["allow_community_extensions", "false"],
    ["errors_as_json", "true"],
    ["enable_external_access", "false"],
    ["lock_configuration", "true"],
  ];
  for (const [name, value] of settings) await connection.run(`SET GLOBAL ${name} = ${value}`);
}
