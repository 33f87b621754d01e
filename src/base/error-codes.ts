import { storeErrors, type ErrorDescription } from "./store-errors.ts";
import { USAGE_ERRORS } from "./usage-errors.ts";

/** The codes of the SQLite files, which src/base/sqlite.ts composes. */
export const STORES = {
  ...storeErrors("CATALOG", "the catalog"),
  ...storeErrors("LOG", "the log"),
  ...storeErrors("ALERTS", "the alert store"),
  ...storeErrors("MAINTENANCE", "the maintenance record"),
  ...storeErrors("LEDGER", "the ledger of read files"),
};

/**
 * Every code of an `OperatingError`. `INVALID_…` is an unusable value; `…_NOT_FOUND` names something that does not
 * exist, `…_EXISTS` something that does; `…_IN_USE`, `…_RUNNING` and `…_BUSY` wait for another process; `UNSUPPORTED_…`
 * is not implemented by this program. docs/reference/errors.md is generated from this record. The catalog's REST server
 * maps codes to Iceberg's error types itself.
 */
const DESCRIPTIONS = {
  ...STORES,
  ...USAGE_ERRORS,
  CATALOG_CANNOT_OPEN: { ...STORES.CATALOG_CANNOT_OPEN, status: 503 },
  CATALOG_CORRUPT: { ...STORES.CATALOG_CORRUPT, status: 503 },
  CATALOG_DISK_FULL: { ...STORES.CATALOG_DISK_FULL, status: 503 },
  CATALOG_FAILED: { ...STORES.CATALOG_FAILED, status: 503 },
  CATALOG_FORMAT_UNKNOWN: { ...STORES.CATALOG_FORMAT_UNKNOWN, status: 503 },
  CATALOG_IO_FAILED: { ...STORES.CATALOG_IO_FAILED, status: 503 },
  CATALOG_LOCKED: { ...STORES.CATALOG_LOCKED, status: 503 },
  CATALOG_READ_ONLY: { ...STORES.CATALOG_READ_ONLY, status: 503 },
  ALERTS_LOCKED: { ...STORES.ALERTS_LOCKED, status: 503 },
  ALERTS_DISK_FULL: { ...STORES.ALERTS_DISK_FULL, status: 503 },
  ACCOUNT_NOT_FOUND: {
    meaning:
      "PostgreSQL does not run as root and its user does not exist; " +
      "create that user or run the command as another user.",
  },
  ALERTS_AHEAD_OF_LOG: {
    meaning:
      "The alert store has consumed more of the log than the log holds; " +
      "restore the copy of either file that matches the other.",
  },
  ALERTS_CLOSED: { meaning: "The alert store was used after it was closed; open it again." },
  APPEND_UNCERTAIN: {
    is_retryable: true,
    meaning:
      "Kafka did not acknowledge an append in time; start again, and records that were written twice are counted once.",
  },
  BACKUP_DAMAGED: { meaning: "A file of the backup differs from its checksum; use an earlier backup or another copy." },
  BACKUP_NOT_FOUND: {
    meaning: "The folder holds no complete backup; give the folder that `coinlake backup` wrote to.",
  },
  BACKUP_OF_ANOTHER_LAKE: { meaning: "The folder holds backups of another lake; choose one folder for each lake." },
  BACKUP_OVERTAKEN: {
    is_retryable: true,
    meaning: "The lake changed during every attempt to copy it; try again when it is written less.",
  },
  BACKUP_RUNNING: { is_retryable: true, meaning: "Another process writes this backup; wait until it ends." },
  BACKUP_STOPPED: {
    exit_code: 130,
    meaning: "The backup was stopped before it was complete; run it again, and it resumes.",
  },
  BACKUP_TARGET_NOT_EMPTY: {
    meaning: "The target holds other files; choose an empty folder or one with backups of this lake.",
  },
  BACKUP_UNREADABLE: {
    meaning:
      "The backup's description cannot be read by this version; use the version that wrote it or another folder.",
  },
  BODY_CUT_OFF: { status: 400, meaning: "The request's body ended early; send it again." },
  BODY_TOO_LARGE: { status: 413, meaning: "The request's body exceeds the limit; send less, or split the request." },
  BRONZE_DIFFERS_FROM_LOG: {
    meaning:
      "The bronze table is not a copy of the log; stop its writers and report what `maintain check --json` prints.",
  },
  BRONZE_UNSUPPORTED: { meaning: "The bronze table was changed so that records cannot be appended; undo that change." },
  BUCKET_NOT_FOUND: { meaning: "The S3 bucket does not exist; create it or correct the location of the warehouse." },
  BUILD_STALLED: {
    is_retryable: true,
    meaning: "dbt succeeded, but silver or gold still lack records of bronze; run `verify`, then `repair`.",
  },
  CACHE_NOT_WRITABLE: {
    meaning: "The cache folder cannot be created; set COINLAKE_CACHE to a folder that you may write to.",
  },
  CHECKOUT_REQUIRED: { meaning: "The npm package lacks what this command needs; run it in a checkout." },
  CHECKSUM_MISMATCH: { meaning: "A file differs from its expected checksum; fetch or restore it again." },
  CHECK_FAILED: {
    is_retryable: true,
    meaning: "Great Expectations ended before it had checked everything; run it again, then `doctor`.",
  },
  CHECK_RUNNING: { is_retryable: true, meaning: "Another process checks this lake; wait until it ends." },
  CLOCK_BEHIND: {
    is_retryable: true,
    meaning: "The clock of this machine is behind the newest commit; set it right.",
  },
  CLUSTER_BUSY: { is_retryable: true, meaning: "Another command changes this cluster; wait until it ends." },
  CLUSTER_FOLDER_NOT_WRITABLE: {
    meaning: "The cluster's folder cannot be created; give a folder that you may write to with --data.",
  },
  CLUSTER_NOT_FOUND: {
    meaning: "No running cluster is known; start one with `cluster up`, or set the variables that name its servers.",
  },
  COMMIT_CONFLICT: {
    is_retryable: true,
    meaning: "Another writer changed the table first, and nothing was committed; load the table and commit again.",
  },
  COMMIT_NOT_RECORDED: { meaning: "A valid commit has no checksum record; `verify --deep` completes the record." },
  COMMIT_STALLED: { meaning: "Commits failed many times in a row; check the disk and the catalog, then start again." },
  COMPACTION_OVERTAKEN: {
    is_retryable: true,
    meaning: "Other writers changed the table during every attempt to compact it; run it again later.",
  },
  COMPOSE_FAILED: { meaning: "`docker compose` failed; read its output, or run the cluster with --native." },
  CONSOLE_CLOSED: {
    status: 503,
    meaning: "The server is stopping and accepts no more queries; send the query again after it has restarted.",
  },
  CONSOLE_DIED: {
    status: 503,
    is_retryable: true,
    meaning: "The process that runs queries ended; ask for less, and the next query starts a new process.",
  },
  CROSS_SITE: {
    status: 403,
    meaning: "A web page of another site sent the request; use the dashboard, or a program without an Origin header.",
  },
  DATABASE_MISSING: { meaning: "A database of the lake is missing, so a backup would be incomplete; run `verify`." },
  DATABASE_NOT_COPIED: {
    is_retryable: true,
    meaning: "A database could not be copied; check disk space and permissions, then try again.",
  },
  DATA_FILES_FAILED: {
    meaning: "DuckDB could not read or write data files; check disk and memory, and run `verify` for damage.",
  },
  DBT_FAILED: { is_retryable: true, meaning: "dbt could not run; run `dbt debug` and read its log." },
  DBT_WORKER_CLOSED: {
    meaning: "The pipeline is stopping and runs no more dbt commands; the next start continues from the last commit.",
  },
  DBT_WORKER_DIED: {
    is_retryable: true,
    meaning: "The dbt process ended; it is restarted, and each table keeps its last commit.",
  },
  DUCKDB_EXTENSION_MISSING: { meaning: "DuckDB could not load its Iceberg extension; run `doctor`." },
  EXPECTATIONS_NOT_MET: { meaning: "Data differ from the expectations of quality/; look at the rows in Data Docs." },
  EXPIRY_OVERTAKEN: {
    is_retryable: true,
    meaning: "Other writers changed the table during every attempt to expire snapshots; run it again later.",
  },
  FETCH_FAILED: {
    meaning: "A program or library of the cluster could not be downloaded or unpacked; check the network and the disk.",
  },
  FILES_LEFT_BEHIND: { meaning: "A table was dropped, but some of its files remain; delete its folder by hand." },
  FILE_CHANGED: { meaning: "The file changed while it was read; start again when nobody writes to it." },
  FILE_EMPTY: { meaning: "The file is empty; fetch or record it again." },
  FILE_EXISTS: { meaning: "The file exists, and files are never overwritten; choose another name." },
  FILE_FORMAT_UNKNOWN: {
    meaning: "The file is in none of the formats that can be replayed; see the message for the formats.",
  },
  FILE_IS_FOLDER: { meaning: "A file is needed, and a folder was given; give one of the files in it." },
  FILE_NOT_FOUND: { meaning: "The file does not exist; check the path, or restore a file of a table from a copy." },
  FILE_NOT_READABLE: { meaning: "The file cannot be read; check its permissions and its disk." },
  FILE_TOO_LARGE: { meaning: "The file exceeds the limit for reading; split it, or expire snapshots of the table." },
  FOLDER_CLOSED: {
    meaning: "The service's user may not enter a parent folder of the data folder; open it, or use another --data.",
  },
  FOLDER_NOT_FOUND: {
    meaning: "The folder of a source of files does not exist; create it or check the path given to files:FOLDER.",
  },
  FOLDER_NOT_READABLE: { meaning: "The data folder cannot be read; give the folder that holds the lakes with --data." },
  FOLDER_NOT_WRITABLE: { meaning: "The folder cannot be created or written; choose one that you may write to." },
  FORBIDDEN: {
    meaning:
      "The catalog's REST server rejects requests from web pages and under other host names; " +
      "use 127.0.0.1 or localhost.",
  },
  FOREIGN_HOST: {
    status: 421,
    meaning: "The Host header names another server; use the address that the server was started with.",
  },
  FOREIGN_RECORD: { meaning: "Another program wrote to the topic or compacted it; give Coinlake its own topic." },
  INTERNAL: { meaning: "Coinlake has a fault; report it with the lines that the server's log has about it." },
  INVALID_AVRO: {
    meaning: "A manifest is not a readable Avro file; restore it, or roll the table back to an older snapshot.",
  },
  INVALID_IDL: {
    meaning: "The Thrift definition uses a type before it declares it; restore the file of this version.",
  },
  INVALID_OFFSETS: {
    meaning: "The table property with the consumed offsets cannot be read; set it as the message says.",
  },
  INVALID_PIPELINE: {
    meaning: "A pipeline's definition has an unusable value; correct the fields that the message names.",
  },
  INVALID_POSITION: {
    meaning: "The stored position of a source cannot be read; restore the log from a backup or start a new lake.",
  },
  INVALID_REQUEST: { status: 400, meaning: "The request is not as documented; GET /api/openapi.json describes it." },
  INVALID_SQL: { status: 400, meaning: "DuckDB rejects the query; fix the query at the position given." },
  INVALID_SUITE: { meaning: "A suite of expectations is malformed; see quality/README.md." },
  INVALID_TARGET_SIZE: {
    meaning: "The target file size is not a positive number; correct the option or the table property.",
  },
  INVALID_TOKEN: { status: 401, meaning: "The token is wrong; ask the person who started Coinlake for it." },
  JOB_RULE_NOT_FOUND: { meaning: "No enabled rule watches this job; enable or create one." },
  LAKE_BUSY: { status: 503, meaning: "Too many queries about the past wait; try again in a moment." },
  LAKE_CANNOT_BE_CLAIMED: {
    meaning: "The lake's folder cannot be locked for writing; check permissions and disk space.",
  },
  LAKE_DAMAGED: { meaning: "`verify` found damage; follow its findings, which name the repairs." },
  LAKE_DESCRIPTION_MISSING: {
    meaning: "The lake's description file is missing; restore it, or use another folder for a new lake.",
  },
  LAKE_EMPTY: {
    status: 503,
    is_retryable: true,
    meaning: "The lake holds no accepted record yet; let the pipeline run until its first increment.",
  },
  LAKE_IN_USE: {
    is_retryable: true,
    meaning: "Another process writes this lake; stop it, or use another folder with --data.",
  },
  LAKE_IS_A_COPY: {
    meaning: "The lake is a copy of one that still exists; add --copy to give it a new id, or delete one of them.",
  },
  LAKE_MOVED: { meaning: "The lake's folder was moved or copied; run `move`, or open it where it belongs." },
  LAKE_OF_ANOTHER_KIND: { meaning: "The folder's lake holds data of another kind; use another folder with --data." },
  LAKE_UNREADABLE: {
    meaning:
      "The lake's description is damaged, was changed, or is of another version; restore it or use another folder.",
  },
  LAYERS_APART: {
    is_retryable: true,
    meaning: "The tables have consumed different offsets for too long; start the pipeline or run `dbt run`.",
  },
  LIVE_MODELS_DIFFER: {
    meaning: "The pipeline names a model that the dbt project does not have; correct its `live` section.",
  },
  LIVE_TAIL_FAILED: {
    status: 503,
    is_retryable: true,
    meaning: "DuckDB could not update the live views; it is tried again, and the tables continue without them.",
  },
  LOG_BEHIND: {
    meaning: "The log ends before the offsets that the lake has consumed; use the log of this lake, or run `repair`.",
  },
  LOG_CLOSED: { meaning: "The log was used after it was closed; open it again." },
  LOG_GAP: { meaning: "Records between the lake and the log are missing; run `repair`, with --from for a backup." },
  LOG_REJECTED: { meaning: "Kafka rejected the request; read the broker's log for the reason." },
  LOG_UNREACHABLE: {
    status: 503,
    is_retryable: true,
    meaning: "Kafka did not answer; check that the broker runs and that its address is right.",
  },
  MACHINE_NOT_READY: { meaning: "`doctor` found that something is missing; follow the step under each line." },
  MAINTENANCE_CANNOT_BE_CLAIMED: {
    is_retryable: true,
    meaning: "The folder of the maintenance lock cannot be written; check permissions and disk space.",
  },
  MAINTENANCE_INCOMPLETE: { meaning: "Some tables could not be maintained; the message names them and the reasons." },
  MAINTENANCE_RUNNING: { is_retryable: true, meaning: "Another process maintains this lake; try again in a minute." },
  METADATA_LEFT_BEHIND: {
    meaning: "An old metadata file could not be deleted; the table is complete, and the file may be deleted by hand.",
  },
  METASTORE_FAILED: {
    status: 503,
    is_retryable: true,
    meaning: "The Hive Metastore failed or did not answer; check that it runs, and its log.",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: "The path does not take this HTTP method; GET /api/openapi.json lists the methods.",
  },
  MODELS_NOT_COMPILED: {
    is_retryable: true,
    meaning: "dbt has not compiled the live views yet; wait until the pipeline has started.",
  },
  MODEL_FAILED: { meaning: "dbt could not build a model; fix what the message names. An increment is tried again." },
  MOMENT_NOT_HELD: {
    is_retryable: true,
    meaning: "No common state of the tables is kept, so nothing was verified; let an increment end, then verify again.",
  },
  MOVE_STOPPED: { exit_code: 130, meaning: "The move was stopped and changed nothing; run it again." },
  NAMESPACE_EXISTS: { meaning: "The namespace exists; use it or choose another name." },
  NAMESPACE_NOT_EMPTY: { meaning: "The namespace holds tables; drop or move them first." },
  NAMESPACE_NOT_FOUND: { status: 404, meaning: "The namespace does not exist; check its name." },
  NAMESPACE_NOT_OWNED: {
    meaning: "The metastore's database holds tables of another program; use another metastore, or move them.",
  },
  NATIVE_NEEDS_LINUX: { meaning: "`cluster up --native` runs on Linux only; use Docker elsewhere." },
  NOT_AUTHORIZED: { meaning: "The catalog's REST server needs its token; send it as a bearer token." },
  NOT_A_CLUSTER: {
    meaning: "The folder holds no cluster, and nothing was deleted; give the cluster's folder with --data.",
  },
  NOT_A_FILE: { meaning: "The location is not a regular file; check it." },
  NOT_COPYABLE: {
    meaning: "The lake holds a symbolic link or a device, which a copy would lose; replace or remove it.",
  },
  NOT_FOUND: { status: 404, meaning: "The path or object does not exist; GET /api/openapi.json lists the paths." },
  OFFSET_PRUNED: {
    status: 410,
    meaning: "The log has pruned this offset; read from the first kept offset, or from the bronze table.",
  },
  PARTITION_NOT_FOUND: { status: 404, meaning: "The topic has no such partition; use one that it was created with." },
  PIPELINE_NOT_FOUND: { meaning: "The lake's pipeline has no definition in pipelines/; bring it back." },
  PIPELINE_STARTING: { status: 503, meaning: "The pipeline does not serve yet; try again in a few seconds." },
  PORT_NOT_ALLOWED: { meaning: "The system does not let the program listen on this address or port; choose another." },
  PORT_TAKEN: { meaning: "Another program listens on this port; stop it, or choose another port." },
  PYTHON_INSTALL_FAILED: {
    is_retryable: true,
    meaning: "A Python environment could not be installed; check the network and the package index.",
  },
  QUERY_CANCELLED: { status: 409, meaning: "The query was cancelled before it ended; run it again." },
  QUERY_ID_IN_USE: { status: 409, meaning: "A query with this id is running; choose another query_id." },
  QUERY_NOT_FOUND: { status: 404, meaning: "No query with this id is running; it may have ended." },
  QUERY_OUT_OF_MEMORY: { status: 422, meaning: "The query needs more memory than the console has; ask for less." },
  QUERY_TIMED_OUT: {
    status: 504,
    meaning: "The query took too long and was stopped; ask for a shorter time or fewer columns.",
  },
  QUERY_TOO_LARGE: { status: 422, meaning: "The result exceeds the limit; ask for fewer rows or columns." },
  REBUILD_FAILED: {
    meaning: "Silver and gold could not be rebuilt for comparison; check the space of the --scratch folder.",
  },
  RECORDS_LOST: { meaning: "The log has pruned records that bronze does not hold; run `repair`." },
  RECORD_TOO_LARGE: { meaning: "A record exceeds the log's limit; have the source send smaller messages." },
  RESTORE_STOPPED: {
    exit_code: 130,
    meaning: "The restore was stopped before it was complete; run it again, and it resumes.",
  },
  REWRITE_LOSES_ROWS: { meaning: "A rewrite gave another number of rows and was discarded; run `verify`." },
  ROUTE_NOT_FOUND: { meaning: "The catalog's REST server has no such endpoint; GET /v1/config lists them." },
  RULE_EXISTS: { status: 409, meaning: "A rule with this id exists; edit it or choose another id." },
  SERVICE_DIED: { meaning: "A service of the cluster ended before it answered; read its logs." },
  SERVICE_NOT_ANSWERING: {
    is_retryable: true,
    meaning: "A service of the cluster runs and does not answer; read its logs, then restart the cluster.",
  },
  SERVICE_NOT_CONFIGURED: {
    meaning: "The first setup of a service failed; check disk space and permissions, then run it again.",
  },
  SERVICE_NOT_OWNED: { meaning: "A process of the cluster belongs to another user; run the command as that user." },
  SINK_EXISTS: { meaning: "A notification channel with this id exists; delete it or choose another id." },
  SINK_IN_USE: { meaning: "A rule uses this notification channel; remove it from that rule first." },
  SNAPSHOT_IN_USE: { meaning: "A branch or tag refers to the snapshot; remove that reference first." },
  SOURCE_IN_USE: { meaning: "Another process reads this lake's source; stop it, or start with --no-produce." },
  SOURCE_UNREACHABLE: {
    is_retryable: true,
    meaning: "The source did not answer; check the network, or start with --source simulated.",
  },
  SPARK_REJECTED: { meaning: "Spark rejected the request or failed; its message and its log give the reason." },
  SPARK_SESSION_CLOSED: { meaning: "Spark closed the session; begin one with another id." },
  SPARK_TIMED_OUT: {
    is_retryable: true,
    meaning: "Spark did not answer in time, and the outcome is not known; look for it, then try again.",
  },
  SPARK_UNREACHABLE: { is_retryable: true, meaning: "Spark cannot be reached; start it with `cluster up`." },
  SQL_NOT_ALLOWED: { status: 403, meaning: "The console takes one SELECT over the lake's tables; write such a query." },
  STOPPING: { status: 503, meaning: "The server is stopping; send the request again after it has restarted." },
  STORAGE_DENIED: { meaning: "The storage denies access; check permissions or the S3 credentials." },
  STORAGE_FAILED: { is_retryable: true, meaning: "The storage failed; check the disk or the log of the object store." },
  STORAGE_FULL: { is_retryable: true, meaning: "The storage is full; free space." },
  STORAGE_UNREACHABLE: {
    status: 503,
    is_retryable: true,
    meaning: "The object store did not answer; check that it runs and that AWS_ENDPOINT_URL is right.",
  },
  STREAM_BEHIND: {
    is_retryable: true,
    meaning: "A stream does not run or lags; look again later, or run `streams start`.",
  },
  STREAM_FAILED: { meaning: "A Spark stream failed; fix the cause that the message gives, then start it again." },
  STREAM_LOST: {
    is_retryable: true,
    meaning: "Spark no longer knows this run of the stream; start it, and it continues from its checkpoint.",
  },
  STREAM_STOPPED: { is_retryable: true, meaning: "A Spark stream stopped; it is started again from its checkpoint." },
  SUITES_NOT_FOUND: { meaning: "The pipeline has no suites of expectations; write one as quality/README.md shows." },
  TABLES_OF_ANOTHER_LAKE: {
    meaning: "The cluster holds the tables of another lake; use another cluster, or empty this one.",
  },
  TABLES_SHARE_A_FOLDER: { meaning: "A table has files in the folder of another; remove orphan files by hand." },
  TABLE_DAMAGED: { meaning: "Metadata of the table are damaged; run `repair`." },
  TABLE_EXISTS: { meaning: "The table exists; use it or choose another name." },
  TABLE_FILE_DAMAGED: { meaning: "A file of the table is damaged and was not backed up; run `verify`." },
  TABLE_FILE_MISSING: {
    meaning: "A snapshot names a file that is missing, so the lake was not backed up; run `verify`.",
  },
  TABLE_FILE_UNREADABLE: {
    status: 503,
    is_retryable: true,
    meaning: "A data file of the table cannot be read; run the query again, then `verify`.",
  },
  TABLE_MISSING: {
    is_retryable: true,
    meaning: "A table with expectations does not exist yet; let the pipeline run until it has created its tables.",
  },
  TABLE_OUTSIDE_WAREHOUSE: {
    meaning: "The table's location is outside the warehouse; drop it or change its location.",
  },
  TABLE_UNREADABLE: {
    meaning: "A table that may share a folder cannot be read, so orphan files stay; restore its metadata file.",
  },
  TARGET_IN_USE: {
    is_retryable: true,
    meaning: "Another process fills the target; wait for it, or choose another target.",
  },
  TARGET_NOT_EMPTY: { meaning: "The target is not empty, and nothing is overwritten; choose another." },
  TESTS_FAILED: { meaning: "dbt tests failed; run `dbt test` to see the rows, and `verify` for damage." },
  TIME_OUT_OF_RANGE: { meaning: "A time in the file is out of range; correct that line." },
  TIME_UNITS_MIXED: { meaning: "The file mixes units of time; convert all times to one unit." },
  TOKEN_REQUIRED: {
    status: 401,
    meaning: "The server needs its token; log in at /login or send it as a bearer token.",
  },
  TOOL_NOT_FOUND: { meaning: "A program was not found on this machine; install it as the message says." },
  TOOL_TOO_OLD: { meaning: "A program of this machine is too old; install a newer version." },
  TOO_MANY_ATTEMPTS: { status: 429, meaning: "Too many wrong tokens within a minute; wait a minute." },
  TOO_MANY_BACK_TESTS: { status: 429, meaning: "Too many tests on history are running; wait for one to end." },
  TOO_MANY_CLIENTS: { status: 503, meaning: "Too many clients listen to events; close one." },
  TOO_MANY_QUERIES: { status: 429, meaning: "Too many queries are running; wait for one to end, or cancel it." },
  TOPIC_NOT_FOUND: { status: 404, meaning: "The log has no such topic; check its name." },
  TOPIC_PARTITIONS_DIFFER: {
    meaning: "The topic has another number of partitions; declare that number, or choose another topic.",
  },
  TOPIC_SETTINGS_DIFFER: { meaning: "The topic's settings could lose records; correct them as the message says." },
  UNKNOWN_OUTCOME: {
    is_retryable: true,
    meaning: "A commit was sent and no answer came; the committed state is read back before the next write.",
  },
  UNPROCESSABLE: { meaning: "A namespace property is both set and removed; name each property once." },
  UNSUPPORTED: { meaning: "The catalog does not support this operation; use another way." },
  UNSUPPORTED_COLUMN: { meaning: "A column's type cannot be rewritten; compact the table with Spark." },
  UNSUPPORTED_DELETES: {
    meaning: "The table has row deletes that cannot be rewritten; compact it with the engine that wrote them.",
  },
  UNSUPPORTED_FILE: { meaning: "The table has data files that cannot be rewritten; compact it with Spark." },
  UNSUPPORTED_FORMAT: { meaning: "Only tables of Iceberg format version 2 are written; create a new table." },
  UNSUPPORTED_GC: {
    meaning: "The table's property gc.enabled forbids deleting files; set it to true if no other table needs them.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: "The body must be JSON; send it with content-type application/json.",
  },
  UNSUPPORTED_SPEC: {
    meaning: "The table's partition spec cannot be written; partition by top-level primitive columns.",
  },
  VERIFY_STOPPED: {
    exit_code: 130,
    meaning: "The verification was stopped and has no result; the lake is unchanged. Run it again.",
  },
  VERIFY_OVERTAKEN: {
    is_retryable: true,
    meaning: "The lake changed while it was verified, so nothing was verified; verify again.",
  },
  VIEW_NOT_FOUND: { meaning: "The catalog has no views; use a table." },
  WAREHOUSE_NOT_FOUND: { meaning: "The REST catalog has no such warehouse; give the name of a running pipeline." },
  WAREHOUSE_NOT_EMPTY: { meaning: "The target warehouse holds other files; choose an empty folder of a bucket." },
} as const satisfies Record<string, ErrorDescription>;

export type ErrorCode = keyof typeof DESCRIPTIONS;

export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorDescription>> = DESCRIPTIONS;
