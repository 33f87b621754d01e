import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import type { Field } from "../iceberg/model.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { DELETE_FILE_PATH_COLUMN, DELETE_POSITION_COLUMN } from "../iceberg/relocate.ts";
import { CONTENT, type DataFile, type PartitionTuple } from "../iceberg/manifest-model.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { canonicalLocation } from "../storage/location.ts";
import { copyToParquet, ROW_GROUP_ROWS } from "./copy.ts";
import { openDuckDB } from "./duckdb.ts";
import { spillFolder } from "./spill.ts";
import { enginePath, quoteName, quoteText } from "./sql.ts";

/** Data files of one partition, and the position delete files that apply to some of them. */
export interface RewriteInput {
  files: readonly { location: string; record_count: number }[];
  delete_files: readonly string[];
}

export interface RewriteOutput {
  location: string;
  partition: PartitionTuple;
  /** The table's current columns: their ids identify values in files of older schemas. */
  columns: readonly Field[];
}

export interface Rewriter {
  /**
   * Writes the undeleted rows to one file, in the order of the files and of their rows. Returns null, and writes no
   * file, where no row remains. Throws REWRITE_LOSES_ROWS where the number of rows is not the expected one,
   * UNSUPPORTED_COLUMN, UNSUPPORTED_FILE, DATA_FILES_FAILED, STORAGE_FULL; the caller deletes any file at the output's
   * location.
   */
  rewrite(input: RewriteInput, output: RewriteOutput): Promise<DataFile | null>;
  /** The data files that a position delete file names, as spelled in it. */
  referencedFiles(delete_file: string): Promise<string[]>;
  /**
   * Writes a position delete file with the data files' names mapped by `locate`. Returns its size in bytes. Throws
   * REWRITE_LOSES_ROWS, DATA_FILES_FAILED, STORAGE_FULL; the caller deletes any file at `to`.
   */
  relocateDeletes(from: string, to: string, locate: (location: string) => string): Promise<number>;
  close(): void;
}

export interface RewriterOptions {
  memory_limit_mb: number;
  threads: number;
  s3: S3Settings | null;
}

/** Opens a separate engine. Closing it after the work returns the work's memory. */
export async function openRewriter({ memory_limit_mb, threads, s3 }: RewriterOptions): Promise<Rewriter> {
  const instance =
    s3 === null ? await openLocal(memory_limit_mb, threads) : await openDuckDB({ memory_limit_mb, threads, s3 });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true");
  return {
    rewrite: (input, output) => rewrite(connection, input, output),
    referencedFiles: (delete_file) => referencedFiles(connection, [delete_file]),
    relocateDeletes: (from, to, locate) => relocateDeletes(connection, { from, to }, locate),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** Only Parquet is read and written, so no extension is loaded. */
function openLocal(memory_limit_mb: number, threads: number): Promise<DuckDBInstance> {
  return DuckDBInstance.create(":memory:", {
    threads: String(threads),
    memory_limit: `${memory_limit_mb}MB`,
    temp_directory: spillFolder(),
    allocator_flush_threshold: "16MB",
    autoinstall_known_extensions: "false",
  });
}

async function rewrite(
  connection: DuckDBConnection,
  input: RewriteInput,
  output: RewriteOutput,
): Promise<DataFile | null> {
  await requireFieldIds(connection, input);
  const deleted_of = input.delete_files.length === 0 ? new Map<number, number>() : await loadDeletes(connection, input);
  const rows = input.files.reduce((sum, { record_count }) => sum + record_count, 0);
  const deleted = [...deleted_of.values()].reduce((sum, count) => sum + count, 0);
  if (rows === deleted) return null;
  for (const file of deleted_of.keys()) await loadMask(connection, input, file);
  const row_group_rows = await rowsOfGroup(connection, input, rows);
  const file = await copyToParquet(connection, selectUndeleted(input, output, [...deleted_of.keys()]), {
    ...output,
    row_group_rows,
  });
  for (const masked of deleted_of.keys()) await connection.run(`RESET VARIABLE ${maskOf(masked)}`);
  if (Number(file.record_count) !== rows - deleted) throw losesRows(Number(file.record_count), rows, deleted);
  return {
    ...file,
    content: CONTENT.data,
    partition: output.partition,
    key_metadata: null,
    split_offsets: null,
    equality_ids: null,
    sort_order_id: null,
    referenced_data_file: null,
  };
}

/** Approximate uncompressed size of a row group: DuckDB holds several copies of a group while it writes it. */
const MAX_ROW_GROUP_BYTES = 8 * 1024 * 1024;

async function rowsOfGroup(connection: DuckDBConnection, { files }: RewriteInput, rows: number): Promise<number> {
  const locations = listOf(files.map(({ location }) => location));
  const [found] = await read(
    connection,
    `SELECT sum(total_uncompressed_size)::DOUBLE AS size_bytes FROM parquet_metadata(${locations})`,
  );
  const row_bytes = Math.max(1, Number(found?.["size_bytes"]) / Math.max(1, rows));
  return Math.min(ROW_GROUP_ROWS, Math.max(1, Math.floor(MAX_ROW_GROUP_BYTES / row_bytes)));
}

/**
 * Throws for a column without an id, which would be read as null. DuckDB keeps the data read here in memory for the
 * rewrite.
 */
async function requireFieldIds(connection: DuckDBConnection, { files }: RewriteInput): Promise<void> {
  const locations = listOf(files.map(({ location }) => location));
  const [nameless] = await read(
    connection,
    `SELECT file_name FROM parquet_schema(${locations}) WHERE field_id IS NULL AND num_children IS NULL LIMIT 1`,
  );
  if (nameless === undefined) return;
  throw new OperatingError(
    "UNSUPPORTED_FILE",
    `Columns of ${String(nameless["file_name"])} have no field ids, so they cannot be matched to the table's`,
    {
      next_step: "Compact this table with an engine that maps columns by name, such as Spark's rewrite_data_files.",
    },
  );
}

/**
 * Fills `deleted (file, pos)` with each deleted position once, even if several delete files name it, and without
 * positions that the file lacks; returns the number of deleted rows of each file, by its index.
 */
async function loadDeletes(
  connection: DuckDBConnection,
  { files, delete_files }: RewriteInput,
): Promise<Map<number, number>> {
  const index = new Map(files.map(({ location }, position) => [canonicalLocation(location), position]));
  const spellings = (await referencedFiles(connection, delete_files)).flatMap((spelling) => {
    const file = index.get(canonicalLocation(spelling));
    return file === undefined ? [] : [`(${quoteText(spelling)}, ${file}, ${files[file]?.record_count ?? 0})`];
  });
  if (spellings.length === 0) return new Map();
  await read(
    connection,
    `CREATE OR REPLACE TEMP TABLE deleted AS
    SELECT DISTINCT named.file::INTEGER AS file, deletes.pos::INTEGER AS pos
    FROM ${parquet(delete_files)} AS deletes
    JOIN (VALUES ${spellings.join(", ")}) AS named(spelling, file, rows)
    ON deletes.file_path = named.spelling AND deletes.pos < named.rows`,
  );
  const counts = await read(connection, "SELECT file, count(*) AS count FROM deleted GROUP BY file ORDER BY file");
  return new Map(counts.map(({ file, count }) => [Number(file), Number(count)]));
}

/** Loads one bit for each row of a file. */
async function loadMask(connection: DuckDBConnection, { files }: RewriteInput, file: number): Promise<void> {
  const last = (files[file]?.record_count ?? 1) - 1;
  await read(
    connection,
    `SET VARIABLE ${maskOf(file)} = (SELECT bitstring_agg(pos, 0, ${last}) FROM deleted WHERE file = ${file})`,
  );
}

function maskOf(file: number): string {
  return `coinlake_mask_${file}`;
}

async function referencedFiles(connection: DuckDBConnection, delete_files: readonly string[]): Promise<string[]> {
  const rows = await read(connection, `SELECT DISTINCT file_path FROM ${parquet(delete_files)}`);
  return rows.map(({ file_path }) => String(file_path));
}

const DELETE_COLUMNS: readonly Field[] = [
  { id: DELETE_FILE_PATH_COLUMN, name: "file_path", required: true, type: "string" },
  { id: DELETE_POSITION_COLUMN, name: "pos", required: true, type: "long" },
];

/** Sorts by file and position, as the specification requires. */
async function relocateDeletes(
  connection: DuckDBConnection,
  { from, to }: { from: string; to: string },
  locate: (location: string) => string,
): Promise<number> {
  const [counted] = await read(connection, `SELECT count(*) AS rows FROM ${parquet([from])}`);
  const names = (await referencedFiles(connection, [from])).map(
    (name) => `(${quoteText(name)}, ${quoteText(locate(name))})`,
  );
  const named = names.length === 0 ? "(NULL, NULL)" : names.join(", ");
  const select = `SELECT named.located AS file_path, deletes.pos::BIGINT AS pos FROM ${parquet([from])} AS deletes
    JOIN (VALUES ${named}) AS named(spelling, located) ON deletes.file_path = named.spelling ORDER BY 1, 2`;
  const { record_count, file_size_in_bytes } = await copyToParquet(connection, select, {
    location: to,
    columns: DELETE_COLUMNS,
  });
  if (Number(record_count) !== Number(counted?.["rows"]))
    throw losesRows(Number(record_count), Number(counted?.["rows"]), 0);
  return Number(file_size_in_bytes);
}

/**
 * Selects by a mask, which keeps the order of the rows, as DuckDB guarantees for a WHERE. A join does not keep it, and
 * sorting its result would take as much time again as the rewrite.
 */
function selectUndeleted(input: RewriteInput, { columns }: RewriteOutput, masked: readonly number[]): string {
  const select = `SELECT ${columns.map(({ name }) => quoteName(name)).join(", ")} FROM ${withSchema(input, columns)}`;
  if (masked.length === 0) return select;
  const bits = masked.map(
    (file) => `WHEN ${file} THEN get_bit(getvariable('${maskOf(file)}'), file_row_number::INTEGER)`,
  );
  return `${select} WHERE CASE file_index ${bits.join(" ")} ELSE 0 END = 0`;
}

function withSchema({ files }: RewriteInput, columns: readonly Field[]): string {
  const fields = columns.map(
    (column) =>
      `${column.id}: {name: ${quoteText(column.name)}, type: ${quoteText(duckDBType(column))}, default_value: NULL}`,
  );
  return parquet(
    files.map(({ location }) => location),
    `, schema = MAP {${fields.join(", ")}}`,
  );
}

function parquet(locations: readonly string[], options = ""): string {
  return `read_parquet(${listOf(locations)}, hive_partitioning = false${options})`;
}

function listOf(locations: readonly string[]): string {
  return `[${locations.map((location) => quoteText(enginePath(location))).join(", ")}]`;
}

const TYPES: Readonly<Record<string, string>> = {
  boolean: "BOOLEAN",
  int: "INTEGER",
  long: "BIGINT",
  float: "FLOAT",
  double: "DOUBLE",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
  timestamptz: "TIMESTAMPTZ",
  string: "VARCHAR",
  uuid: "UUID",
  binary: "BLOB",
};

/** DuckDB's names for the position of a row: a column of the table with such a name would hide them. */
const POSITION_COLUMNS = new Set(["file_index", "file_row_number"]);

/**
 * Maps Iceberg's primitive types to DuckDB types that are written as Iceberg requires (spec, appendix A). Throws
 * UNSUPPORTED_COLUMN.
 */
export function duckDBType({ name, type }: Field): string {
  const decimal = typeof type === "string" ? /^decimal\((\d+),\s*(\d+)\)$/.exec(type) : null;
  const known = decimal === null ? TYPES[String(type)] : `DECIMAL(${decimal[1]}, ${decimal[2]})`;
  if (known !== undefined && !POSITION_COLUMNS.has(name.toLowerCase())) return known;
  const what = typeof type === "string" ? type : "nested";
  throw new OperatingError("UNSUPPORTED_COLUMN", `Column ${JSON.stringify(name)} of type ${what} cannot be rewritten`, {
    next_step: "Compact this table with an engine that supports it, such as Spark's rewrite_data_files.",
  });
}

function losesRows(written: number, rows: number, deleted: number): OperatingError {
  return new OperatingError(
    "REWRITE_LOSES_ROWS",
    `A rewrite gave ${written} rows, not ${rows} less ${deleted} deleted ones; nothing was changed`,
    {
      next_step: "Run `npm run -s coinlake -- verify`: a data file of the table may be damaged.",
    },
  );
}

async function read(connection: DuckDBConnection, sql: string): Promise<Record<string, unknown>[]> {
  try {
    return (await connection.runAndReadAll(sql)).getRowObjects();
  } catch (error) {
    throw new OperatingError("DATA_FILES_FAILED", `DuckDB could not read files of the table: ${messageOf(error)}`, {
      next_step: "Run `npm run -s coinlake -- verify`: a data file of the table may be damaged.",
      is_retryable: true,
      cause: error,
    });
  }
}
