/** Converts DuckDB's `2023-03-14 02:10:00.123+00` to ISO 8601. */
export function isoOfSql(text: string | null | undefined): string {
  return `${(text ?? "").replace(" ", "T").replace(/\+00(:00)?$/, "")}Z`;
}
