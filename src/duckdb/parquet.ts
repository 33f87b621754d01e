import { DuckDBInstance } from "@duckdb/node-api";
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { CONTENT, type DataFile } from "../iceberg/manifest-model.ts";
import type { RecordTarget, RecordWriter } from "../ingest/record-writer.ts";
import type { LogRecord } from "../log/log.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { deleteIfPossible } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { copyToParquet } from "./copy.ts";
import { openDuckDB } from "./duckdb.ts";
import { closeInstance, trackInstance } from "./instances.ts";
import { RowBuffer } from "./row-buffer.ts";
import { spillFolder } from "./spill.ts";
import { quoteName, quoteText } from "./sql.ts";

/**
 * Approximate maximum payload per file, in bytes. Two buffers exist at a time, one being filled while the other is
 * written; together with DuckDB's memory for writing, they keep the whole process below 400 MB.
 */
const BUFFER_MAX_BYTES = 16 * 1024 * 1024;
/** Limits the fixed columns of a buffer when payloads are small. */
const BUFFER_MAX_ROWS = 131_072;

const MS_PER_DAY = 86_400_000;
const UNBOUNDED = new Set(["payload", "payload_bytes"]);

/** The instance's name in memory statistics. */
const INSTANCE_NAME = "ingest";

/**
 * Options of a separate instance, so that no query can take its memory or stall it. One thread besides the calling one
 * keeps two cores busy; a second would only wait for the first. DuckDB returns memory to the system early, because
 * writes need it in bursts.
 */
const INSTANCE_OPTIONS = {
  threads: "1",
  memory_limit: "160MB",
  allocator_flush_threshold: "16MB",
  autoinstall_known_extensions: "false",
};

/** Writes Parquet through DuckDB: this thread fills a buffer while DuckDB's thread compresses the previous one. */
export async function openParquetWriter({
  storage,
  s3 = null,
}: {
  storage: Storage;
  s3?: S3Settings | null;
}): Promise<RecordWriter> {
  const instance = s3 === null ? await openLocal() : await openUploading(s3);
  const connections = [await instance.connect(), await instance.connect()];
  // Statistics are text in the session's time zone.
  for (const connection of connections) await connection.run("SET TimeZone = 'UTC'");
  const openBuffers = () => Promise.all(connections.map((connection) => RowBuffer.open(connection)));
  let buffers = await openBuffers();

  return {
    async write(target, batches) {
      const made: string[] = [];
      const run = new WriteRun(storage, target, made);
      try {
        return await run.write(buffers, batches);
      } catch (error) {
        await run.settle();
        // A failure may leave a buffer in any state, and the next write must not find its rows.
        const stale = buffers;
        buffers = [];
        await Promise.all(stale.map((buffer) => buffer.discard()));
        buffers = await openBuffers();
        await deleteIfPossible(storage, target.location, made);
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
  // The part size of an upload is a ten-thousandth of the maximum file size, and each part is in memory until it is
  // sent.
  await connection.run("SET GLOBAL s3_uploader_max_filesize = '50GB'; SET GLOBAL s3_uploader_thread_limit = 4");
  connection.closeSync();
  return instance;
}

/** One call of `write`: fills buffers alternately; `made` names every file that was started, complete or not. */
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

  async write(buffers: readonly RowBuffer[], batches: AsyncIterable<readonly LogRecord[]>): Promise<DataFile[]> {
    let turn = 0;
    let buffer = bufferAt(buffers, turn);
    for await (const batch of batches) {
      for (const record of batch) {
        const is_chunk_complete = buffer.add(record);
        if (!is_chunk_complete) continue;
        await setImmediate();
        if (buffer.size_bytes < BUFFER_MAX_BYTES && buffer.row_count < BUFFER_MAX_ROWS) continue;
        this.#begin(buffer);
        turn += 1;
        buffer = bufferAt(buffers, turn);
        // The buffer's previous content must be written before it takes new rows.
        await this.#running[turn - buffers.length];
      }
    }
    if (buffer.row_count > 0) this.#begin(buffer);
    return (await Promise.all(this.#running)).flat();
  }

  /** Waits for all pending writes, successful or not. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #begin(buffer: RowBuffer): void {
    buffer.seal();
    const files = this.#writeFiles(buffer);
    // The caller that awaits the promise gets the error; until then it must not count as unhandled.
    files.catch(() => {});
    this.#running.push(files);
  }

  async #writeFiles(buffer: RowBuffer): Promise<DataFile[]> {
    const files: DataFile[] = [];
    for (const day of [...buffer.days].sort((a, b) => a - b)) files.push(await this.#writeFile(buffer, day));
    await buffer.restart();
    return files;
  }

  async #writeFile(buffer: RowBuffer, day: number): Promise<DataFile> {
    const { columns, partition_field_id } = this.#target;
    const folder = `${this.#target.location}/data/ingestion_date=${dateOf(day)}`;
    const location = `${folder}/${randomUUID()}.parquet`;
    await this.#storage.makeFolder(folder);
    this.#made.push(location);
    const file = await copyToParquet(buffer.connection, selectBuffer(buffer, this.#target, day), {
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

function bufferAt(buffers: readonly RowBuffer[], turn: number): RowBuffer {
  const buffer = buffers[turn % buffers.length];
  if (buffer === undefined) throw new TypeError("a writer has buffers");
  return buffer;
}

function dateOf(day: number): string {
  return new Date(day * MS_PER_DAY).toISOString().slice(0, 10);
}

/** DuckDB's types for the possible types of bronze columns. */
const DUCKDB_TYPES: Readonly<Record<string, string>> = {
  string: "VARCHAR",
  binary: "BLOB",
  timestamptz: "TIMESTAMPTZ",
  date: "DATE",
  int: "INTEGER",
  long: "BIGINT",
};

function selectBuffer(buffer: RowBuffer, { columns, topic }: RecordTarget, day: number): string {
  const values: Readonly<Record<string, string>> = {
    source: `list_extract([${buffer.sources.map(quoteText).join(", ")}], source + 1)`,
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
  const where = buffer.days.size > 1 ? `WHERE day = ${day}` : "";
  return `SELECT ${selected.join(", ")} FROM temp.buffer ${where}`;
}
