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

/** The catalog's inspection of a table, in DuckDB's words about the catalog's response. */
const FOUND_BY_CATALOG = /endpoint returned response code \w+ with message "(The table [^]* is damaged: [^]*)"\.?$/;

/** DuckDB's messages about the statement, which quote its text. */
const STATEMENT_FAILURE =
  /^(Parser|Binder|Catalog|Conversion) Error|"exception_type":"(Parser|Binder|Catalog|Conversion)"/;

/** Whether DuckDB's message is about an unreadable file rather than the statement. */
export function isFileFailure(message: string): boolean {
  return !STATEMENT_FAILURE.test(message) && FILE_FAILURE.test(message);
}

/**
 * DuckDB's error, with its message: INVALID_SQL for an error of the statement, TABLE_FILE_UNREADABLE for an unreadable
 * file of a table, TABLE_DAMAGED for what the catalog found. TABLE_FILE_UNREADABLE may be transient: a slow reader
 * finds files of an expired snapshot deleted.
 */
export function engineFailure(error: unknown): OperatingError {
  const message = messageOf(error);
  const damage = FOUND_BY_CATALOG.exec(message)?.[1];
  if (damage !== undefined) {
    return new OperatingError("TABLE_DAMAGED", damage, {
      next_step: "Run `npm run -s coinlake -- repair` to see what is damaged, and with --apply to bring it back.",
      cause: error,
    });
  }
  if (isFileFailure(message)) {
    return new OperatingError("TABLE_FILE_UNREADABLE", message, {
      next_step:
        "Run it again. If it stays, " +
        "`npm run -s coinlake -- verify` names the damaged file and the command that repairs it.",
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
