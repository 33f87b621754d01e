import type { ErrorDescription } from "./store-errors.ts";

/**
 * Codes of wrong use: the command line or a setting has an unknown name or an invalid value, lacks one, or asks for
 * something that this lake does not have. A command that fails with one of them exits with 2, because it fails again
 * until the command line or the setting is corrected. Files, networks and other programs are never wrong use.
 */
const WRONG_USE = {
  ALERT_NOT_FOUND: { status: 404, meaning: "No alert has this id; list the alerts to see the ids." },
  AMBIGUOUS_SUBJECT: { status: 400, meaning: "A name matches several subjects; give the id of one of them." },
  BACKUP_INSIDE_LAKE: { meaning: "The target of the backup is inside the lake's folder; choose a folder outside it." },
  BACKUP_NEEDS_EMBEDDED: {
    meaning: "`backup` copies embedded lakes only; back up the servers of a cluster with their own tools.",
  },
  DBT_REJECTED: {
    meaning: "dbt rejects its arguments, or failed before it ran anything; read the lines that dbt printed.",
  },
  INVALID_ADDRESS: { meaning: "The address of an exchange is not https or wss; correct the variable or unset it." },
  INVALID_API_KEY: { meaning: "The API key holds characters that no key has; copy it again." },
  INVALID_BASE_URL: {
    meaning: "The base URL of a source is not an http or https address; correct the variable or unset it.",
  },
  INVALID_CATALOG_TOKEN: {
    meaning: "The catalog's token is too short or has characters that a header cannot hold; choose another.",
  },
  INVALID_CURSOR: { status: 400, meaning: "The cursor is unknown or expired; start again without a cursor." },
  INVALID_JSON: { status: 400, meaning: "The text is not the JSON of an object; correct it." },
  INVALID_NAME: {
    meaning:
      "The name of a pipeline or model cannot name files and tables; use lower-case letters, digits and underscores.",
  },
  NAME_TAKEN: { meaning: "A pipeline, model or file of this name exists; choose another name." },
  INVALID_LAKE_NAME: { meaning: "The name of a lake is not that of a folder; choose a name without slashes." },
  INVALID_PORT: { meaning: "A port is not a number from 1 to 65535; correct the variable or unset it." },
  INVALID_PRODUCTS: {
    meaning: "The list of products names one that the source does not have; correct the variable or unset it.",
  },
  INVALID_RULE: { status: 422, meaning: "A field of the alert rule is not valid; correct that field." },
  INVALID_S3_ENDPOINT: { meaning: "The S3 endpoint is not a URL; set AWS_ENDPOINT_URL to the address of the service." },
  INVALID_SEED: { meaning: "The seed of the simulated market is not a whole number; give one, as in simulated:42." },
  INVALID_SINK: { meaning: "A field of the notification channel is not valid; correct that field." },
  INVALID_SPARK_REMOTE: { meaning: "The address of Spark Connect is not sc://HOST:PORT; correct SPARK_REMOTE." },
  INVALID_TIME: {
    status: 400,
    meaning: "The time is not ISO 8601; write it as 2026-01-31T12:00:00Z. Without a zone it is UTC.",
  },
  LAKE_ELSEWHERE: {
    meaning: "The tables of this lake are in another warehouse; leave --warehouse out, or use another data folder.",
  },
  LAKE_NOT_FOUND: { meaning: "There is no such lake in the data folder; choose one with --data and --lake." },
  LIVE_HAS_NO_PAST: { meaning: "Live views have no history; query the table itself, or leave --at out." },
  MAINTENANCE_NEEDS_CLUSTER: { meaning: "This check is for lakes of a cluster; use `verify` for an embedded lake." },
  MOVE_NEEDS_EMBEDDED: { meaning: "The folder of a cluster's lake needs no rewriting; move it by hand." },
  NOTHING_TO_MOVE: { meaning: "The lake is where it belongs; give the new folder." },
  NOT_ONE_STATEMENT: { meaning: "A query is one SQL statement; give one." },
  NOT_TESTABLE: { status: 422, meaning: "A rule of this kind cannot be tested on history; test rules on ticks." },
  NO_PARENT: { meaning: "The command is internal to the server; use `query` for SQL." },
  NO_SQL: { meaning: "No SQL was given; pass it as an argument, on standard input (-) or in a file (-f)." },
  ORPHANS_TOO_YOUNG: {
    meaning: "Files younger than an hour may belong to a commit in progress; give --older-than at least an hour.",
  },
  PORT_TWICE: { meaning: "Two services are given the same port; give one of them another." },
  QUESTION_NOT_FOUND: { status: 404, meaning: "There is no question with this number; GET /api/answers lists them." },
  PIPELINE_NAME_RESERVED: {
    meaning: "The pipeline's name is a path of the server, so it cannot run beside others; rename it or run it alone.",
  },
  REPAIR_NEEDS_EMBEDDED: { meaning: "`repair` is for embedded lakes; restore the backups of the cluster's servers." },
  RULE_NOT_FOUND: { status: 404, meaning: "No rule has this id; list the rules to see the ids." },
  S3_CREDENTIALS_MISSING: {
    meaning: "An s3:// location needs credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
  },
  SINK_NOT_FOUND: { meaning: "No notification channel has this id; list the channels to see the ids." },
  SNAPSHOT_NOT_FOUND: { meaning: "The table has no such snapshot; look the snapshots up in iceberg_snapshots." },
  SOURCES_DO_NOT_MIX: { meaning: "Only live sources run side by side; start the other source by itself." },
  SOURCE_NEEDS_ARGUMENT: { meaning: "The source needs an argument after a colon; the message shows the form." },
  SOURCE_NOT_FOUND: { meaning: "There is no such source; choose one of those listed." },
  SOURCE_TAKES_NO_ARGUMENT: { meaning: "The source takes no argument; give its name only." },
  STREAM_NOT_FOUND: { meaning: "There is no such stream; choose one of those listed." },
  SUBJECT_NOT_FOUND: { status: 404, meaning: "The lake knows no such subject; the message lists the nearest names." },
  TABLE_NOT_FOUND: { status: 404, meaning: "The table does not exist; check its name." },
  TARGET_INSIDE: { meaning: "The target is inside the lake's folder; choose a folder outside it." },
  TOKEN_REQUIRED_FOR_HOST: {
    meaning: "Other machines can reach the server, so it needs a token; set COINLAKE_TOKEN or leave --host out.",
  },
  TOKEN_TOO_SHORT: { meaning: "The token is too short; use the output of `openssl rand -hex 16`." },
  UNSUPPORTED_LOCATION: {
    meaning: "The location is not usable; use file:///FOLDER or s3://BUCKET/FOLDER without special characters.",
  },
} as const satisfies Record<string, ErrorDescription>;

type WrongUse = typeof WRONG_USE;

export const USAGE_ERRORS = Object.fromEntries(
  Object.entries(WRONG_USE).map(([code, description]) => [code, { ...description, exit_code: 2 }]),
) as { readonly [Code in keyof WrongUse]: WrongUse[Code] & { readonly exit_code: 2 } };
