import { OperatingError, messageOf } from "../base/errors.ts";

/**
 * DuckDB's messages for a missing, truncated or damaged file; as text, or as JSON where a session requests JSON errors.
 */
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

/** DuckDB's messages about the statement, which quote its text. */
const STATEMENT_FAILURE =
  /^(Parser|Binder|Catalog|Conversion) Error|"exception_type":"(Parser|Binder|Catalog|Conversion)"/;

/** Whether DuckDB's message is about an unreadable file rather than the statement. */
export function isFileFailure(message: string): boolean {
  return !STATEMENT_FAILURE.test(message) && FILE_FAILURE.test(message);
}

/**
 * DuckDB's error, with its message: INVALID_SQL for an error of the statement, TABLE_FILE_UNREADABLE for an unreadable
 * file of a table. The latter may be transient: a slow reader finds files of an expired snapshot deleted.
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
