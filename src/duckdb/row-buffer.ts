import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DuckDBBlobValue,
  DuckDBDataChunk,
  DuckDBTimestampTZValue,
  INTEGER,
  TIMESTAMPTZ,
  type DuckDBAppender,
  type DuckDBConnection,
  type DuckDBVector,
} from "@duckdb/node-api";
import { isUtf8 } from "node:buffer";
import type { LogRecord } from "../log/log.ts";

/** DuckDB's vector size: the rows of one chunk. */
const CHUNK_ROWS = 2048;
/** The maximum payload of a chunk, in bytes: copying it into DuckDB blocks the event loop for a few milliseconds. */
const CHUNK_MAX_BYTES = 4 * 1024 * 1024;
/**
 * Chunks per flush. By default, an appender collects 204,800 rows and then blocks for 0.1 s while it moves them into
 * the table.
 */
const FLUSH_CHUNKS = 8;
const MICROS_PER_DAY = 86_400_000_000;

const TABLE = "buffer";
/** Replaces the table, because truncation would not free memory: DuckDB only marks the rows as deleted. */
const NEW_TABLE = `
  CREATE OR REPLACE TEMP TABLE ${TABLE} (
    source INTEGER, payload BLOB, is_text BOOLEAN, ingested_at TIMESTAMPTZ,
    log_partition INTEGER, log_offset BIGINT, day INTEGER
  )`;
const TYPES = [INTEGER, BLOB, BOOLEAN, TIMESTAMPTZ, INTEGER, BIGINT, INTEGER];

/**
 * A buffer of log records for one file, in a temporary table of a separate connection. The calling thread fills it, a
 * chunk at a time. A row holds the index of its source in `sources`: a text per row would cost more than all numbers
 * together.
 */
export class RowBuffer {
  readonly connection: DuckDBConnection;
  readonly sources: string[] = [];
  /** The distinct days of `ingested_at`, since the epoch. */
  readonly days = new Set<number>();
  row_count = 0;
  size_bytes = 0;
  #is_sealed = false;
  #unflushed_chunks = 0;
  readonly #source_positions = new Map<string, number>();
  readonly #chunk = DuckDBDataChunk.create(TYPES, CHUNK_ROWS);
  #appender: DuckDBAppender;
  #vectors: DuckDBVector[] = [];
  #chunk_rows = 0;
  #chunk_bytes = 0;

  private constructor(connection: DuckDBConnection, appender: DuckDBAppender) {
    this.connection = connection;
    this.#appender = appender;
    this.#startChunk();
  }

  static async open(connection: DuckDBConnection): Promise<RowBuffer> {
    await connection.run(NEW_TABLE);
    return new RowBuffer(connection, await newAppender(connection));
  }

  /** Returns whether a chunk was completed, so that the caller can yield to the event loop. */
  add(record: LogRecord): boolean {
    const row = this.#chunk_rows;
    const { payload, ingested_at_us, partition, offset } = record;
    const day = Math.floor(ingested_at_us / MICROS_PER_DAY);
    const [source, bytes, is_text, ingested_at, log_partition, log_offset, days] = this.#vectors as [
      DuckDBVector,
      DuckDBVector,
      DuckDBVector,
      DuckDBVector,
      DuckDBVector,
      DuckDBVector,
      DuckDBVector,
    ];
    source.setItem(row, this.#sourcePosition(record.source));
    bytes.setItem(row, new DuckDBBlobValue(payload));
    is_text.setItem(row, isUtf8(payload));
    ingested_at.setItem(row, new DuckDBTimestampTZValue(BigInt(ingested_at_us)));
    log_partition.setItem(row, partition);
    log_offset.setItem(row, BigInt(offset));
    days.setItem(row, day);
    this.days.add(day);
    this.#chunk_rows += 1;
    this.#chunk_bytes += payload.length;
    this.row_count += 1;
    this.size_bytes += payload.length;
    if (this.#chunk_rows < CHUNK_ROWS && this.#chunk_bytes < CHUNK_MAX_BYTES) return false;
    this.#flushChunk();
    return true;
  }

  /** Makes all rows visible to queries on the connection. */
  seal(): void {
    this.#flushChunk();
    this.#closeAppender();
  }

  /** Ends the buffer in any state, and drops its table. */
  async discard(): Promise<void> {
    try {
      this.#closeAppender();
    } finally {
      await this.connection.run(`DROP TABLE IF EXISTS temp.${TABLE}`);
    }
  }

  /** Empties the sealed buffer for the next rows. */
  async restart(): Promise<void> {
    await this.connection.run(NEW_TABLE);
    this.sources.length = 0;
    this.#source_positions.clear();
    this.days.clear();
    this.row_count = 0;
    this.size_bytes = 0;
    this.#appender = await newAppender(this.connection);
    this.#is_sealed = false;
  }

  #closeAppender(): void {
    if (!this.#is_sealed) this.#appender.closeSync();
    this.#is_sealed = true;
  }

  #sourcePosition(source: string): number {
    let position = this.#source_positions.get(source);
    if (position === undefined) {
      position = this.sources.push(source) - 1;
      this.#source_positions.set(source, position);
    }
    return position;
  }

  #flushChunk(): void {
    if (this.#chunk_rows === 0) return;
    for (const vector of this.#vectors) vector.flush();
    this.#chunk.rowCount = this.#chunk_rows;
    this.#appender.appendDataChunk(this.#chunk);
    this.#unflushed_chunks += 1;
    if (this.#unflushed_chunks >= FLUSH_CHUNKS) this.#flushAppender();
    this.#startChunk();
  }

  #flushAppender(): void {
    this.#appender.flushSync();
    this.#unflushed_chunks = 0;
  }

  /**
   * Reuses one native chunk for the whole buffer: a new chunk per batch would hold its payloads until garbage
   * collection.
   */
  #startChunk(): void {
    this.#chunk.reset();
    // A wrapper caches its vectors, which belong to the chunk's previous content.
    const wrapper = new DuckDBDataChunk(this.#chunk.chunk);
    wrapper.rowCount = CHUNK_ROWS;
    this.#vectors = TYPES.map((_type, column) => wrapper.getColumnVector(column));
    this.#chunk_rows = 0;
    this.#chunk_bytes = 0;
  }
}

function newAppender(connection: DuckDBConnection): Promise<DuckDBAppender> {
  return connection.createAppender(TABLE, "main", "temp");
}
