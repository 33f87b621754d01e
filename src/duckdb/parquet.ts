import { DuckDBInstance } from "@duckdb/node-api";
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { CONTENT, type DataFile } from "../iceberg/manifest-model.ts";
import type { RecordTarget, RecordWriter } from "../ingest/record-writer.ts";
import type { LogRecord } from "../log/log.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { copyToParquet } from "./copy.ts";
import { openDuckDB } from "./duckdb.ts";
import { closeInstance, trackInstance } from "./instances.ts";
import { Piece } from "./row-buffer.ts";
import { spillFolder } from "./spill.ts";
import { quoteName, quoteText } from "./sql.ts";

/**
 * Payload bytes per file at most, give or take a chunk. Two pieces exist at a time, one filling while the other is written;
 * together with what DuckDB needs to write one they keep the whole process below 400 MB.
 */
const PIECE_MAX_BYTES = 16 * 1024 * 1024;
/** Bounds the fixed columns of a piece, when payloads are small. */
const PIECE_MAX_ROWS = 131_072;

const MS_PER_DAY = 86_400_000;
const UNBOUNDED = new Set(["payload", "payload_bytes"]);

/** What the instance is called in figures about memory. */
const INSTANCE_NAME = "ingest";

/**
 * An instance of its own, so that nobody's query can take its memory or stall it. One thread beside the calling one: two cores
 * are busy then, and a second would only wait for the first. Memory goes back to the system early: it is needed in bursts.
 */
const INSTANCE_OPTIONS = {
  threads: "1",
  memory_limit: "160MB",
  allocator_flush_threshold: "16MB",
  autoinstall_known_extensions: "false",
};

/** Writes Parquet through DuckDB: this thread fills a piece while DuckDB's thread compresses the one before. */
export async function openParquetWriter({
  storage,
  s3 = null,
}: {
  storage: Storage;
  s3?: S3Settings | null;
}): Promise<RecordWriter> {
  const instance = s3 === null ? await openLocal() : await openUploading(s3);
  const connections = [await instance.connect(), await instance.connect()];
  // Statistics come as text, in the session's time zone.
  for (const connection of connections) await connection.run("SET TimeZone = 'UTC'");
  const openPieces = () => Promise.all(connections.map((connection) => Piece.open(connection)));
  let pieces = await openPieces();

  return {
    async write(target, batches) {
      const made: string[] = [];
      const run = new WriteRun(storage, target, made);
      try {
        return await run.write(pieces, batches);
      } catch (error) {
        await run.settle();
        await deleteOwnFiles({ storage, warehouse: null }, target.location, made);
        // A failure may have left a piece in any state.
        await Promise.all(pieces.map((piece) => piece.discard()));
        pieces = await openPieces();
        throw error;
      }
    },
    close() {
      for (const connection of connections) connection.closeSync();
      closeInstance(instance);
    },
  };
}

async function openLocal(): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(":memory:", { ...INSTANCE_OPTIONS, temp_directory: spillFolder() });
  await trackInstance(instance, { name: INSTANCE_NAME, memory_limit: INSTANCE_OPTIONS.memory_limit });
  return instance;
}

async function openUploading(s3: S3Settings): Promise<DuckDBInstance> {
  const instance = await openDuckDB({ name: INSTANCE_NAME, threads: 1, memory_limit_mb: 256, s3 });
  const connection = await instance.connect();
  // Uploads are cut into parts of a ten-thousandth of the largest file there may be, and each is held in memory until it is sent.
  await connection.run("SET GLOBAL s3_uploader_max_filesize = '50GB'; SET GLOBAL s3_uploader_thread_limit = 4");
  connection.closeSync();
  return instance;
}

/** One call of `write`: fills pieces in turn; `made` names every file begun, whatever became of it. */
class WriteRun {
  readonly #storage: Storage;
  readonly #target: RecordTarget;
  readonly #made: string[];
  readonly #running: Promise<DataFile[]>[] = [];

  constructor(storage: Storage, target: RecordTarget, made: string[]) {
    this.#storage = storage;
    this.#target = target;
    this.#made = made;
  }

  async write(pieces: readonly Piece[], batches: AsyncIterable<readonly LogRecord[]>): Promise<DataFile[]> {
    let turn = 0;
    let piece = pieceAt(pieces, turn);
    for await (const batch of batches) {
      for (const record of batch) {
        const is_chunk_complete = piece.add(record);
        if (!is_chunk_complete) continue;
        await setImmediate();
        if (piece.size_bytes < PIECE_MAX_BYTES && piece.row_count < PIECE_MAX_ROWS) continue;
        this.#begin(piece);
        turn += 1;
        piece = pieceAt(pieces, turn);
        // The piece's own former content must be out before it takes new rows.
        await this.#running[turn - pieces.length];
      }
    }
    if (piece.row_count > 0) this.#begin(piece);
    return (await Promise.all(this.#running)).flat();
  }

  /** Waits for what is still being written, whatever comes of it. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #begin(piece: Piece): void {
    piece.seal();
    const files = this.#writeFiles(piece);
    // Whoever awaits it gets the error; until then it must not count as unhandled.
    files.catch(() => {});
    this.#running.push(files);
  }

  async #writeFiles(piece: Piece): Promise<DataFile[]> {
    const files: DataFile[] = [];
    for (const day of [...piece.days].sort((a, b) => a - b)) files.push(await this.#writeFile(piece, day));
    await piece.restart();
    return files;
  }

  async #writeFile(piece: Piece, day: number): Promise<DataFile> {
    const { columns, partition_field_id } = this.#target;
    const folder = `${this.#target.location}/data/ingestion_date=${dateOf(day)}`;
    const location = `${folder}/${randomUUID()}.parquet`;
    await this.#storage.makeFolder(folder);
    this.#made.push(location);
    const file = await copyToParquet(piece.connection, selectPiece(piece, this.#target, day), {
      location,
      columns,
      unbounded: UNBOUNDED,
    });
    await this.#storage.sync(location);
    return {
      ...file,
      content: CONTENT.data,
      partition: new Map([[partition_field_id, day]]),
      key_metadata: null,
      split_offsets: null,
      equality_ids: null,
      sort_order_id: null,
      referenced_data_file: null,
    };
  }
}

function pieceAt(pieces: readonly Piece[], turn: number): Piece {
  const piece = pieces[turn % pieces.length];
  if (piece === undefined) throw new TypeError("a writer has pieces");
  return piece;
}

function dateOf(day: number): string {
  return new Date(day * MS_PER_DAY).toISOString().slice(0, 10);
}

/** DuckDB's names for the types that bronze columns may have. */
const DUCKDB_TYPES: Readonly<Record<string, string>> = {
  string: "VARCHAR",
  binary: "BLOB",
  timestamptz: "TIMESTAMPTZ",
  date: "DATE",
  int: "INTEGER",
  long: "BIGINT",
};

function selectPiece(piece: Piece, { columns, topic }: RecordTarget, day: number): string {
  const values: Readonly<Record<string, string>> = {
    source: `list_extract([${piece.sources.map(quoteText).join(", ")}], source + 1)`,
    payload: "CASE WHEN is_text THEN decode(payload) END",
    payload_bytes: "CASE WHEN NOT is_text THEN payload END",
    payload_size_bytes: "octet_length(payload)",
    ingested_at: "ingested_at",
    ingestion_date: `DATE '${dateOf(day)}'`,
    log_topic: quoteText(topic),
    log_partition: "log_partition",
    log_offset: "log_offset",
  };
  const selected = columns.map(
    ({ name, type }) => `CAST(${values[name]} AS ${DUCKDB_TYPES[String(type)]}) AS ${quoteName(name)}`,
  );
  const where = piece.days.size > 1 ? `WHERE day = ${day}` : "";
  return `SELECT ${selected.join(", ")} FROM temp.piece ${where}`;
}
