import { pathOfLocation } from "../storage/file/location.ts";

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** DuckDB accepts paths for the local disk, and URIs for everything else. */
export function enginePath(location: string): string {
  return location.startsWith("file:") ? pathOfLocation(location) : location;
}
