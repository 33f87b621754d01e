import type { DuckDBBlobValue, DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import type { Field } from "../iceberg/model.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { conditionOn } from "../ingest/lost-offsets.ts";
import { unionOffsets, type OffsetRange, type OffsetRanges } from "../ingest/offset-ranges.ts";
import type { LogRecord } from "../log/log.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { openDuckDB } from "./duckdb.ts";
import { duckDBType } from "./rewriter.ts";
import { enginePath, quoteName, quoteText } from "./sql.ts";

/** Data files of a bronze table, read independently of the table: no snapshot needs to list them. */
export interface BronzeFiles {
  /** Whether every value of the file can be decoded. */
  isReadable(location: string): Promise<boolean>;
  /** The offsets of a topic in the files, within the given ranges of each partition. Throws DATA_FILES_FAILED. */
  offsetsIn(locations: readonly string[], topic: string, within: OffsetRanges): Promise<OffsetRanges>;
  /** The records with these offsets, each once, by partition and offset. Throws DATA_FILES_FAILED. */
  records(locations: readonly string[], topic: string, offsets: OffsetRanges): AsyncGenerator<LogRecord[]>;
  close(): void;
}

const MEMORY_LIMIT_MB = 256;

/** `columns` are the table's: their ids identify values in files of older schemas. */
export async function openBronzeFiles({
  columns,
  s3,
}: {
  columns: readonly Field[];
  s3: S3Settings | null;
}): Promise<BronzeFiles> {
  const instance = await openDuckDB({ memory_limit_mb: MEMORY_LIMIT_MB, threads: 2, s3 });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return {
    isReadable: (location) => isReadable(connection, source([location], columns)),
    offsetsIn: async (locations, topic, within) => {
      if (locations.length === 0 || within.size === 0) return new Map();
      return offsetsIn(connection, source(locations, columns), conditionOn(topic, within));
    },
    records: (locations, topic, offsets) =>
      records(connection, source(locations, columns), conditionOn(topic, offsets)),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

function source(locations: readonly string[], columns: readonly Field[]): string {
  const fields = columns.map(
    (column) =>
      `${column.id}: {name: ${quoteText(column.name)}, type: ${quoteText(duckDBType(column))}, default_value: NULL}`,
  );
  const files = locations.map((location) => quoteText(enginePath(location)));
  return `read_parquet([${files.join(", ")}], hive_partitioning = false, schema = MAP {${fields.join(", ")}})`;
}

async function isReadable(connection: DuckDBConnection, files: string): Promise<boolean> {
  try {
    const { rows, names } = await describe(connection, files);
    // A sum over every value decodes every page; a count alone reads the footer.
    if (rows > 0) await connection.runAndReadAll(`SELECT sum(hash(${names.join(", ")})::HUGEINT) FROM ${files}`);
    return true;
  } catch {
    // Any error of DuckDB means that the file is not readable.
    return false;
  }
}

async function describe(connection: DuckDBConnection, files: string): Promise<{ rows: number; names: string[] }> {
  const result = await connection.runAndReadAll(`SELECT * FROM ${files} LIMIT 1`);
  return { rows: result.currentRowCount, names: result.deduplicatedColumnNames().map(quoteName) };
}

/** Derives ranges from the gaps between neighbours, which are few regardless of the number of rows. */
async function offsetsIn(connection: DuckDBConnection, files: string, condition: string): Promise<OffsetRanges> {
  const rows = await read(
    connection,
    `WITH offsets AS (SELECT log_partition, log_offset FROM ${files} WHERE ${condition}),
      neighbours AS (
        SELECT log_partition, log_offset,
          lag(log_offset) OVER (PARTITION BY log_partition ORDER BY log_offset) AS previous
        FROM offsets
      )
    SELECT log_partition, log_offset, previous FROM neighbours WHERE previous IS NULL OR log_offset - previous > 1
    UNION ALL
    SELECT log_partition, NULL, max(log_offset) FROM offsets GROUP BY log_partition
    ORDER BY log_partition, log_offset NULLS LAST`,
  );
  let ranges: OffsetRanges = new Map();
  let from = 0;
  for (const [partition, offset, previous] of rows.map((row) =>
    row.map((value) => (value === null ? null : Number(value))),
  )) {
    const range: OffsetRange = [from, Number(previous) + 1];
    if (previous !== null) ranges = unionOffsets(ranges, new Map([[Number(partition), [range]]]));
    from = offset ?? 0;
  }
  return ranges;
}

async function* records(connection: DuckDBConnection, files: string, condition: string): AsyncGenerator<LogRecord[]> {
  const result = await connection
    .stream(
      `SELECT log_partition, log_offset, source, coalesce(payload_bytes, encode(payload)), epoch_us(ingested_at)
      FROM ${files} WHERE ${condition}
      QUALIFY row_number() OVER (PARTITION BY log_partition, log_offset) = 1 ORDER BY log_partition, log_offset`,
    )
    .catch((error: unknown) => {
      throw unreadable(error);
    });
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    yield chunk.getRows().map(([partition, offset, source, payload, ingested_at_us]) => ({
      partition: Number(partition),
      offset: Number(offset),
      key: "",
      source: String(source),
      payload: payload === null ? new Uint8Array() : (payload as DuckDBBlobValue).bytes,
      ingested_at_us: Number(ingested_at_us),
    }));
  }
}

async function read(connection: DuckDBConnection, sql: string): Promise<DuckDBValue[][]> {
  try {
    return (await connection.runAndReadAll(sql)).getRows();
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(cause: unknown): OperatingError {
  return new OperatingError("DATA_FILES_FAILED", `DuckDB could not read bronze's data files: ${messageOf(cause)}`, {
    next_step:
      "Run `npm run -s coinlake -- repair --table` with the bronze table, " +
      "which reads every file and leaves out the damaged ones.",
    cause,
  });
}
