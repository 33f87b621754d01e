import { onAbort } from "../../base/abortable.ts";
import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";
import { Turns } from "../../base/turns.ts";
import { OperatingError } from "../../base/errors.ts";
import type { SourceRecord } from "../../producer/producer.ts";
import { BUSY_RETRY_MS, isBusy, sqliteFailure, transact } from "../../base/sqlite.ts";
import { noop, type StepListener } from "../../base/failpoints.ts";
import { noSuchPartition, noSuchTopic, offsetPruned, partitionsDiffer, recordTooLarge } from "../errors.ts";
import type { Log, LogRecord, PartitionBounds, ReadLimits } from "../log.ts";
import { partitionOf } from "../partition.ts";
import { AppendThread } from "./append-thread.ts";
import { LOG_FORMAT, openLogFile, openLogFileToRead } from "./file.ts";
import { countPrunable, cutIntoSegments, decodeSegment, encodeSegment, type SegmentRow } from "./segment.ts";
import { prepareStatements, type Statements } from "./statements.ts";

export interface SqliteLogOptions {
  /** The folder is created where missing. SQLite stores `-wal` and `-shm` files beside the file. */
  file: string;
  step?: StepListener;
  /** The maximum size of the log, above which appends throw LOG_DISK_FULL; without it, the disk is the limit. */
  max_size_bytes?: number;
  /** How long to wait for another process that writes, before LOG_LOCKED. */
  busy_timeout_ms?: number;
  /** The file must exist, and this connection does not change it; appends are not allowed. */
  is_read_only?: boolean;
}

const BUSY_TIMEOUT_MS = 5000;
/** SQLite limits a value to 1 GB; the payloads of a price feed are six orders of magnitude smaller. */
const PAYLOAD_MAX_BYTES = 256 * 1024 * 1024;
/** Keeps each deletion below about ten milliseconds, because appends of the same process wait for it. */
const PRUNE_SLICE_SEGMENTS = 64;
/**
 * The share of the file's pages that may stay free for the next records; more free pages, such as after a burst, are
 * returned to the disk.
 */
const FREE_SHARE = 0.25;
/** Pages returned at once: 4 MB, about ten milliseconds of work. */
const GIVE_BACK_PAGES = 512;
/** Appends of this process wake a waiting reader at once; appends of other processes are polled at this interval. */
const OTHER_PROCESS_POLL_MS = 100;

interface Topic {
  topic_id: number;
  partitions: number;
}

/**
 * The log in one SQLite file per lake (WAL, synchronous=FULL: a transaction is fsynced when COMMIT returns). Records,
 * offsets and the producer's position change in one transaction, in a separate thread, so the fsync does not block the
 * event loop. Any number of processes may read and append. Throws LOG_DISK_FULL, LOG_LOCKED, LOG_READ_ONLY,
 * LOG_CORRUPT, LOG_CANNOT_OPEN, LOG_IO_FAILED; a failed write leaves nothing half-written.
 */
export function openSqliteLog(options: SqliteLogOptions): Log {
  const busy_timeout_ms = options.busy_timeout_ms ?? BUSY_TIMEOUT_MS;
  const { file, max_size_bytes, is_read_only = false } = options;
  const database = is_read_only
    ? openLogFileToRead(file, busy_timeout_ms)
    : openLogFile(file, max_size_bytes, busy_timeout_ms);
  return new SqliteLog(database, { ...options, busy_timeout_ms });
}

class SqliteLog implements Log {
  readonly #database: DatabaseSync;
  readonly #sql: Statements;
  readonly #file: string;
  readonly #step: StepListener;
  readonly #busy_timeout_ms: number;
  readonly #topics = new Map<string, Topic>();
  readonly #waiting = new Set<() => void>();
  readonly #thread: AppendThread;
  /** Settles when the last requested write is done, or has been sent to the thread. */
  readonly #turns = new Turns(1);
  /** Settles when the last append sent to the thread, and therefore each earlier one, is done. */
  #sent: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(database: DatabaseSync, options: SqliteLogOptions & { busy_timeout_ms: number }) {
    this.#database = database;
    this.#sql = prepareStatements(database);
    this.#file = options.file;
    this.#step = options.step ?? noop;
    this.#busy_timeout_ms = options.busy_timeout_ms;
    const { file, max_size_bytes, busy_timeout_ms } = options;
    this.#thread = new AppendThread({ file, max_size_bytes, busy_timeout_ms });
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    assert(Number.isInteger(partitions) && partitions > 0, "a topic has at least one partition");
    const present = await this.#transact("create a topic in", () => {
      const found = this.#findTopic(topic);
      if (found !== null) return found.partitions;
      const { lastInsertRowid } = this.#sql.insert_topic.run(topic, partitions);
      for (let partition = 0; partition < partitions; partition += 1)
        this.#sql.insert_partition.run(lastInsertRowid, partition);
      return partitions;
    });
    if (present !== partitions) throw partitionsDiffer(topic, present, partitions);
  }

  async append(
    topic: string,
    records: readonly SourceRecord[],
    checkpoint?: { producer: string; position: string },
  ): Promise<void> {
    const { durable } = await this.#inOrder(async () => {
      const { topic_id, partitions } = await this.#topic(topic);
      const segments = splitByPartition(records, partitions).flatMap(([partition, share]) =>
        cutIntoSegments(share).map((piece) => ({ partition, ...encodeSegment(piece) })),
      );
      this.#step("before append");
      const durable = this.#thread.append({ topic_id, segments, checkpoint });
      this.#sent = Promise.allSettled([durable]);
      // Wrapped in an object: as a bare promise it would make the turn last until the disk has answered.
      return { durable };
    });
    await durable;
    this.#step("after append");
    for (const wake of this.#waiting) wake();
  }

  async read(topic: string, partition: number, offset: number, limits: ReadLimits): Promise<LogRecord[]> {
    const { topic_id, partitions } = await this.#topic(topic);
    if (!(partition >= 0 && partition < partitions)) throw noSuchPartition(topic, partition);
    return this.#retrying("read", () => {
      const bounds = this.#boundsOf(topic_id)[partition];
      if (bounds === undefined) throw noSuchPartition(topic, partition);
      if (offset < bounds.begin) throw offsetPruned(topic, partition, offset, bounds.begin);
      if (offset >= bounds.end || limits.max_records < 1) return [];
      const records = this.#readFrom(topic_id, partition, offset, limits);
      // Another process may have pruned between the two statements.
      if (records[0]?.offset !== offset) throw offsetPruned(topic, partition, offset, records[0]?.offset ?? bounds.end);
      return records;
    });
  }

  async bounds(topic: string): Promise<PartitionBounds[]> {
    const { topic_id } = await this.#topic(topic);
    return this.#retrying("read", () => this.#boundsOf(topic_id));
  }

  async position(topic: string, producer: string): Promise<string | null> {
    const { topic_id } = await this.#topic(topic);
    const row = await this.#retrying("read", () => this.#sql.get_position.get(topic_id, producer));
    return (row?.["position"] as string | undefined) ?? null;
  }

  async prune(topic: string, partition: number, before_offset: number, before_us: number): Promise<number> {
    const { topic_id, partitions } = await this.#topic(topic);
    if (!(partition >= 0 && partition < partitions)) throw noSuchPartition(topic, partition);
    let pruned = 0;
    for (;;) {
      const slice = await this.#transact("prune", () =>
        this.#pruneSlice(topic_id, partition, before_offset, before_us),
      );
      pruned += slice.records;
      if (slice.is_last) break;
      await wait(1);
    }
    if (pruned > 0) await this.#giveBack();
    return pruned;
  }

  /** Shrinks the file in slices until few of its pages are free. */
  async #giveBack(): Promise<void> {
    for (let free = Infinity; ; await wait(1)) {
      const pages = Number(this.#sql.page_count.get()?.["page_count"]);
      const before = free;
      free = Number(this.#sql.free_pages.get()?.["freelist_count"]);
      // A file that does not shrink was created without the setting.
      if (free <= pages * FREE_SHARE || free >= before) return;
      await this.#transact("shrink", () => this.#database.exec(`PRAGMA incremental_vacuum(${GIVE_BACK_PAGES})`));
    }
  }

  async waitForAppend(topic: string, ends: readonly PartitionBounds[], signal: AbortSignal): Promise<void> {
    const known = new Map(ends.map(({ partition, end }) => [partition, end]));
    while (!signal.aborted) {
      const now = await this.bounds(topic);
      if (now.some(({ partition, end }) => end > (known.get(partition) ?? 0))) return;
      await this.#nextAppend(signal);
    }
  }

  /** Waits for pending writes. */
  close(): Promise<void> {
    return (this.#closing ??= this.#closeAfterWrites());
  }

  async #closeAfterWrites(): Promise<void> {
    await this.#turns.take(async () => {});
    await this.#sent;
    await this.#thread.close();
    this.#database.close();
    for (const wake of this.#waiting) wake();
  }

  #nextAppend(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let stopListening = (): void => {};
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        stopListening();
        resolve();
      };
      const timer = setTimeout(wake, OTHER_PROCESS_POLL_MS);
      this.#waiting.add(wake);
      stopListening = onAbort(signal, wake);
    });
  }

  #boundsOf(topic_id: number): PartitionBounds[] {
    return this.#sql.list_bounds.all(topic_id).map((row) => ({
      partition: row["partition"] as number,
      begin: row["begin_offset"] as number,
      end: row["end_offset"] as number,
    }));
  }

  #readFrom(topic_id: number, partition: number, offset: number, limits: ReadLimits): LogRecord[] {
    const records: LogRecord[] = [];
    let size_bytes = 0;
    const isEnough = (record: LogRecord): boolean => {
      size_bytes += record.payload.length;
      return size_bytes >= limits.max_bytes || records.length >= limits.max_records;
    };
    for (const row of this.#sql.read_segments.iterate(topic_id, partition, offset)) {
      const [first_offset, strings, index, payloads] = row as unknown as [number, string, Uint8Array, Uint8Array];
      const segment: SegmentRow = { partition, first_offset, strings, index, payloads };
      if (decodeSegment(segment, offset, records, isEnough)) break;
    }
    return records;
  }

  /** Advances `begin_offset` record by record; deletes a segment with its last record. */
  #pruneSlice(
    topic_id: number,
    partition: number,
    before_offset: number,
    before_us: number,
  ): { records: number; is_last: boolean } {
    const begin = this.#boundsOf(topic_id)[partition]?.begin ?? 0;
    const candidates = this.#sql.list_segments.all(topic_id, partition, begin, PRUNE_SLICE_SEGMENTS);
    let pruned_end = begin;
    let is_last = candidates.length < PRUNE_SLICE_SEGMENTS;
    for (const row of candidates) {
      const [end_offset, record_count, max_ingested_at_us] = [
        row["end_offset"],
        row["record_count"],
        row["max_ingested_at_us"],
      ] as number[];
      assert(
        end_offset !== undefined && record_count !== undefined && max_ingested_at_us !== undefined,
        "no column is null",
      );
      if (end_offset <= before_offset && max_ingested_at_us < before_us) {
        pruned_end = end_offset;
        continue;
      }
      const first_offset = end_offset - record_count;
      const index = this.#sql.get_index.get(topic_id, partition, end_offset)?.["record_index"] as Uint8Array;
      pruned_end = Math.max(pruned_end, first_offset + countPrunable(first_offset, index, before_offset, before_us));
      is_last = true;
      break;
    }
    if (pruned_end > begin) {
      this.#sql.advance_begin.run(pruned_end, topic_id, partition);
      this.#sql.delete_segments.run(topic_id, partition, pruned_end);
    }
    return { records: pruned_end - begin, is_last };
  }

  #findTopic(topic: string): Topic | null {
    const row = this.#sql.get_topic.get(topic);
    return row === undefined ? null : { topic_id: row["topic_id"] as number, partitions: row["partitions"] as number };
  }

  async #topic(topic: string): Promise<Topic> {
    const known = this.#topics.get(topic) ?? (await this.#retrying("read", () => this.#findTopic(topic)));
    if (known === null) throw noSuchTopic(topic);
    this.#topics.set(topic, known);
    return known;
  }

  /**
   * Runs a write of this thread between appends: without a turn, the write could find the file locked at every attempt.
   */
  #transact<T>(verb: string, work: () => T): Promise<T> {
    return this.#inOrder(async () => {
      await this.#sent;
      return this.#retrying(verb, () => transact(this.#database, work));
    });
  }

  /** Starts each `work` after the previous one has ended. */
  async #inOrder<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) throw closed(this.#file);
    return this.#turns.take(work);
  }

  async #retrying<T>(verb: string, work: () => T): Promise<T> {
    const deadline_ms = performance.now() + this.#busy_timeout_ms;
    for (;;) {
      try {
        if (!this.#database.isOpen) throw closed(this.#file);
        return work();
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline_ms)
          throw sqliteFailure(this.#file, LOG_FORMAT, verb, error);
      }
      await wait(BUSY_RETRY_MS);
    }
  }
}

function splitByPartition(records: readonly SourceRecord[], partitions: number): [number, SourceRecord[]][] {
  const shares = new Map<number, SourceRecord[]>();
  for (const record of records) {
    if (record.payload.length > PAYLOAD_MAX_BYTES) throw recordTooLarge(record.payload.length, PAYLOAD_MAX_BYTES);
    const partition = partitionOf(record.key, partitions);
    const share = shares.get(partition);
    if (share === undefined) shares.set(partition, [record]);
    else share.push(record);
  }
  return [...shares];
}

function closed(file: string): OperatingError {
  return new OperatingError("LOG_CLOSED", `The log ${file} is closed`, { next_step: "Open the log again." });
}
