import type { DuckDBConnection } from "@duckdb/node-api";
import type { Field } from "../iceberg/model.ts";
import { isDiskFullMessage } from "../base/disk-full.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import type { DataFile } from "../iceberg/manifest-model.ts";
import { columnMetrics, type ReturnedStats } from "./column-stats.ts";
import { enginePath, quoteName, quoteText } from "./sql.ts";

/** DuckDB holds a row group in memory until it is complete; a third of its default hardly changes the file's size. */
export const ROW_GROUP_ROWS = 40_960;
/**
 * The zstd level: for ticks and JSON payloads files are as small as at the default of 3, with a fifth less CPU time.
 */
const COMPRESSION_LEVEL = 1;

export interface CopyTarget {
  location: string;
  /** Rows of a row group; fewer where rows are large, because DuckDB holds the group in memory several times. */
  row_group_rows?: number;
  /** The file's columns, with the table's ids: the columns of `select`, in this order. */
  columns: readonly Field[];
  /** Columns without bounds, because no query filters by them. */
  unbounded?: ReadonlySet<string>;
}

type WrittenFile = Pick<
  DataFile,
  | "file_path"
  | "file_format"
  | "record_count"
  | "file_size_in_bytes"
  | "column_sizes"
  | "value_counts"
  | "null_value_counts"
  | "nan_value_counts"
  | "lower_bounds"
  | "upper_bounds"
>;

/** Writes the rows of a query to one Parquet file, without fsync. Throws STORAGE_FULL, DATA_FILES_FAILED. */
export async function copyToParquet(
  connection: DuckDBConnection,
  select: string,
  target: CopyTarget,
): Promise<WrittenFile> {
  // DuckDB 1.5.5 finds no row for a blob that is not valid text: the Bloom filters that it writes for blobs lack such
  // values.
  const has_bloom_filters = target.columns.every(({ type }) => type !== "binary");
  const field_ids = target.columns.map(({ name, id }) => `${quoteName(name)}: ${id}`);
  const statement = `COPY (${select}) TO ${quoteText(enginePath(target.location))}
    (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL ${COMPRESSION_LEVEL},
     ROW_GROUP_SIZE ${target.row_group_rows ?? ROW_GROUP_ROWS}, WRITE_BLOOM_FILTER ${has_bloom_filters},
     FIELD_IDS {${field_ids.join(", ")}}, RETURN_STATS)`;
  const { record_count, file_size_in_bytes, stats } = await run(connection, statement);
  const metrics = columnMetrics(target.columns, stats, target.unbounded ?? new Set());
  return { file_path: target.location, file_format: "PARQUET", record_count, file_size_in_bytes, ...metrics };
}

type Entries<V> = { entries: readonly { key: string; value: V }[] };

async function run(
  connection: DuckDBConnection,
  statement: string,
): Promise<{ record_count: number; file_size_in_bytes: number; stats: Map<string, ReturnedStats> }> {
  try {
    const [row] = (await connection.runAndReadAll(statement)).getRowObjects();
    const stats = row?.["column_statistics"] as unknown as Entries<Entries<string>>;
    return {
      record_count: Number(row?.["count"]),
      file_size_in_bytes: Number(row?.["file_size_bytes"]),
      stats: new Map(
        stats.entries.map(({ key, value }) => [
          unquoted(key),
          new Map(value.entries.map((entry) => [entry.key, entry.value])),
        ]),
      ),
    };
  } catch (error) {
    throw copyFailure(error);
  }
}

/** Unquotes a column name: the statistics quote names as SQL does. */
function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function copyFailure(error: unknown): OperatingError {
  const message = messageOf(error);
  if (isDiskFullMessage(message)) {
    return new OperatingError("STORAGE_FULL", `The disk is full: ${message}`, {
      next_step: "Free disk space, then try again.",
      cause: error,
    });
  }
  return new OperatingError("DATA_FILES_FAILED", `DuckDB could not write a data file: ${message}`, {
    next_step: "Check the disk and the memory, then try again.",
    is_retryable: true,
    cause: error,
  });
}
