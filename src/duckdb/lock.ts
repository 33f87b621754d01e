import { quoteText } from "./sql.ts";

/** A query that exceeds both memory and this spill size fails, instead of filling the disk. */
const MAX_SPILL = "1GB";

/**
 * Statements that lock DuckDB to `places` (folders and URLs): no other file, no network, no extension, and no setting
 * that could undo the lock. Errors then come as JSON, which includes their position in the SQL.
 */
export function lockStatements(places: readonly string[]): string[] {
  const settings: readonly (readonly [name: string, value: string])[] = [
    [
      "allowed_directories",
      `[${places.map((place) => quoteText(place.endsWith("/") ? place : `${place}/`)).join(", ")}]`,
    ],
    ["max_temp_directory_size", quoteText(MAX_SPILL)],
    ["autoinstall_known_extensions", "false"],
    ["autoload_known_extensions", "false"],
    ["allow_community_extensions", "false"],
    ["errors_as_json", "true"],
    ["enable_external_access", "false"],
    ["lock_configuration", "true"],
  ];
  return settings.map(([name, value]) => `SET GLOBAL ${name} = ${value}`);
}
