import { requestError } from "./problem.ts";

/** Parses ISO 8601 with a zone to milliseconds since 1970; microseconds are dropped. Throws INVALID_TIME. */
export function parseInstant(text: string): number {
  const is_form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const at_ms = is_form ? Date.parse(text) : Number.NaN;
  // Date.parse reads 31 February as a day in March.
  const day = text.slice(0, 10);
  const is_day = is_form && new Date(Date.parse(`${day}T00:00:00Z`) || 0).toISOString().startsWith(day);
  if (Number.isNaN(at_ms) || !is_day)
    throw requestError(
      "INVALID_TIME",
      `Invalid time "${text.slice(0, 50)}"`,
      "Use ISO 8601 with a zone, such as 2026-01-31T12:00:00Z.",
    );
  return at_ms;
}

/** Converts DuckDB's `2023-03-14 02:10:00.123+00` to ISO 8601. */
export function isoOfSql(text: string | null | undefined): string {
  return `${(text ?? "").replace(" ", "T").replace(/\+00(:00)?$/, "")}Z`;
}
