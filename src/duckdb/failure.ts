import { OperatingError, messageOf } from "../base/errors.ts";

/** DuckDB's words for a file that is missing, cut off or damaged; as text, and as JSON where a session asks for that. */
const FILE_FAILURE = new RegExp(
  [
    "\\b(IO|HTTP|Serialization) Error",
    '"exception_type":"(IO|HTTP|Serialization)"',
    "TProtocolException",
    "Parquet file|parquet file|magic bytes|page header|Avro|avro file",
    "[Dd]ecompress|Snappy|ZSTD|zstd",
    "\\.(parquet|avro|metadata\\.json)",
  ].join("|"),
);

/** Those about the statement, whose text they repeat. */
const STATEMENT_FAILURE =
  /^(Parser|Binder|Catalog|Conversion) Error|"exception_type":"(Parser|Binder|Catalog|Conversion)"/;

/** Whether DuckDB's words are about a file that cannot be read, and not about the statement. */
export function isFileFailure(message: string): boolean {
  return !STATEMENT_FAILURE.test(message) && FILE_FAILURE.test(message);
}

/**
 * What a statement failed of, in DuckDB's own words: INVALID_SQL where the statement is to be mended, TABLE_FILE_UNREADABLE where a file of a
 * table is. The latter may pass: a reader that is slow finds files of an expired snapshot deleted.
 */
export function engineFailure(error: unknown): OperatingError {
  const message = messageOf(error);
  if (isFileFailure(message)) {
    return new OperatingError("TABLE_FILE_UNREADABLE", message, {
      next_step:
        "Run it again. If it stays, `npm run -s coinlake -- verify` names the damaged file and the command that mends it.",
      cause: error,
    });
  }
  return new OperatingError("INVALID_SQL", message, {
    next_step: /read-only mode/.test(message)
      ? "Ask with SELECT: the pipeline alone writes the tables, so that every row of them can be proved."
      : "Tables are named layer.table, such as gold.fact_… or live.fact_…; `SHOW ALL TABLES` lists them.",
    cause: error,
  });
}
