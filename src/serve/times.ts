import { requestError } from "./problem.ts";

/** Milliseconds UTC of a time as the API takes it: ISO 8601 with a zone; microseconds are cut. Throws BAD_TIME. */
export function parseInstant(text: string): number {
  const is_form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const at_ms = is_form ? Date.parse(text) : Number.NaN;
  // Date.parse carries 31 February over into March.
  const day = text.slice(0, 10);
  const is_day = is_form && new Date(Date.parse(`${day}T00:00:00Z`) || 0).toISOString().startsWith(day);
  if (Number.isNaN(at_ms) || !is_day)
    throw requestError("BAD_TIME", `"${text.slice(0, 50)}" is no time.`, "Write it as 2026-03-14T02:10:00Z.");
  return at_ms;
}

/** DuckDB's `2023-03-14 02:10:00.123+00` as ISO 8601. */
export function isoOfSql(text: string | null | undefined): string {
  return `${(text ?? "").replace(" ", "T").replace(/\+00(:00)?$/, "")}Z`;
}
