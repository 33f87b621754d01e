import { explain } from "../base/explain.ts";
import type { LoadedTable, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import { hasPassed, intervalAfter_ms, isMuch, type Pacing } from "../base/pacing.ts";
import { pause, withRetry } from "../base/retry.ts";
import { OperatingError } from "../base/errors.ts";
import { createAppendStager } from "../iceberg/append.ts";
import type { Log, PartitionBounds } from "../log/log.ts";
import type { SourceReport } from "../producer/producer.ts";
import { noop, type StepListener } from "../base/failpoints.ts";
import type { Storage } from "../storage/storage.ts";
import { bronzeColumns, bronzePartitionFieldId, openBronze } from "./bronze.ts";
import { readOffsets, startingOffsets } from "./offsets.ts";
import { pendingRecords, type PartitionOffsets } from "../log/offsets.ts";
import { publish, type Publisher } from "./publish.ts";
import type { RecordWriter } from "./record-writer.ts";
import { readLogBatches, type ReadProgress } from "./log-batch-reader.ts";

export interface IngestLimits {
  /** When a commit is due. */
  pacing: Pacing;
  /** The approximate maximum payload of one commit. */
  commit_size_bytes: number;
  /** The log keeps a record for this long after its ingestion, and at least until it is committed. */
  retention_ms: number;
  /** A commit without an answer after this time has an unknown outcome, which is then looked up. */
  commit_timeout_ms?: number;
}

export interface IngestOptions {
  log: Log;
  catalog: TableCatalog;
  storage: Storage;
  records: RecordWriter;
  table: TableIdentifier;
  topic: string;
  clock: Clock;
  limits: IngestLimits;
  step?: StepListener;
  /** Called with failed attempts and other messages for the operator. */
  report?(report: SourceReport): void;
  /** Called with the error of each failed attempt, and with null after the next success. */
  stalled?(error: OperatingError | null): void;
  /** Called after every commit. */
  committed?(commit: IngestCommit): void;
}

export interface IngestCommit {
  rows: number;
  size_bytes: number;
  files: number;
  duration_ms: number;
}

export interface IngestState {
  /** The committed offsets. */
  offsets: PartitionOffsets;
  /** Rows that this instance has committed. */
  rows: number;
  /** Time of its last commit in microseconds UTC; null before the first. */
  at_us: number | null;
}

export interface Ingest {
  /**
   * Commits pending records, up to the size limit; null where there are none. Throws errors that no retry resolves, and
   * COMMIT_STALLED.
   */
  runOnce(): Promise<IngestCommit | null>;
  /**
   * Commits at the configured pace and prunes the log, until the signal aborts. Uncommitted records stay in the log.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Commits everything that was in the log when called, or until the signal aborts. */
  drain(signal?: AbortSignal): Promise<void>;
  /** Deletes log records that are committed and past retention; returns their number. */
  prune(): Promise<number>;
  committed(): IngestState;
  /** The mean payload of a record in the last commit, in bytes. */
  meanRecordBytes(): number;
}

/** How often the loop checks whether a commit is due by size. */
const LOOK_MS = 100;
const PRUNE_INTERVAL_MS = 60_000;
const COMMIT_TIMEOUT_MS = 30_000;
/** Delays after failures outside commits, such as a full disk while files are written. */
const BACKOFF = { base_ms: 500, cap_ms: 30_000 };
const MAX_ATTEMPTS = 8;
/** Payload size assumed until the first records have been seen. */
const ASSUMED_RECORD_BYTES = 512;

/**
 * Copies a topic of the log to the bronze table, exactly once: one atomic commit adds rows and advances the table's
 * offsets, and the ingest continues from the table's offsets, not from those in memory.
 */
export function createIngest(options: IngestOptions): Ingest {
  return new LogIngest(options);
}

class LogIngest implements Ingest {
  readonly #options: IngestOptions;
  readonly #publisher: Publisher;
  readonly #step: StepListener;
  #table: LoadedTable | null = null;
  #offsets: PartitionOffsets = new Map();
  #rows = 0;
  /** Commits since the start of this ingester. */
  #commits = 0;
  #committed_us: number | null = null;
  #pruned_us = -Infinity;
  #mean_record_bytes = ASSUMED_RECORD_BYTES;
  /** The last queued commit: `run` and `drain` may run concurrently. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: IngestOptions) {
    const { catalog, storage, clock, limits } = options;
    this.#options = options;
    this.#step = options.step ?? noop;
    this.#publisher = {
      catalog,
      storage,
      clock,
      stager: createAppendStager({ storage, clock }),
      commit_timeout_ms: limits.commit_timeout_ms ?? COMMIT_TIMEOUT_MS,
      report: options.report ?? (() => {}),
    };
  }

  runOnce(): Promise<IngestCommit | null> {
    const turn = this.#queue.then(() => this.#commitNext());
    this.#queue = turn.catch(() => {});
    return turn;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (await this.#isDue(signal)) {
      await this.#runOnceWithRetry(signal);
      if (hasPassed(this.#options.clock.now_us() - this.#pruned_us, PRUNE_INTERVAL_MS)) await this.#pruneIfPossible();
    }
  }

  async drain(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const ends = await this.#options.log.bounds(this.#options.topic);
    do await this.#runOnceWithRetry(signal);
    while (!signal.aborted && pendingRecords(this.#offsets, ends) > 0);
  }

  /** A log that cannot be pruned now, such as on a full disk, is pruned at the next time. */
  async #pruneIfPossible(): Promise<void> {
    try {
      await this.prune();
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      this.#publisher.report({ level: "warning", code: error.code, message: explain(error) });
    }
  }

  async prune(): Promise<number> {
    const { log, topic, clock, limits } = this.#options;
    const now_us = clock.now_us();
    this.#pruned_us = now_us;
    let pruned = 0;
    for (const [partition, next] of this.#offsets)
      pruned += await log.prune(topic, partition, next, now_us - limits.retention_ms * 1000);
    return pruned;
  }

  committed(): IngestState {
    return { offsets: this.#offsets, rows: this.#rows, at_us: this.#committed_us };
  }

  meanRecordBytes(): number {
    return this.#mean_record_bytes;
  }

  async #commitNext(): Promise<IngestCommit | null> {
    const { log, topic, catalog, clock, limits, records } = this.#options;
    const started_us = clock.now_us();
    const table = await this.#open(catalog);
    const bounds = await log.bounds(topic);
    const from = this.#startingOffsets(table, bounds);
    this.#offsets = from;
    if (pendingRecords(from, bounds) === 0) return null;

    this.#step("before files");
    const progress: ReadProgress = { next: new Map(from), record_count: 0, size_bytes: 0 };
    const target = {
      location: table.metadata.location,
      topic,
      columns: bronzeColumns(table),
      partition_field_id: bronzePartitionFieldId(table),
    };
    const files = await records.write(
      target,
      readLogBatches(log, topic, from, bounds, limits.commit_size_bytes, progress),
    );
    this.#step("after files");
    const written = files.reduce((sum, { record_count }) => sum + Number(record_count), 0);
    if (written !== progress.record_count)
      throw new Error(`${written} records were written of ${progress.record_count} that were read from the log`);
    const published = await this.#publish(table, { topic, from, next: progress.next, files });
    this.#step("before acknowledgement");
    this.#offsets = new Map([...from, ...readOffsets(published.table.metadata, topic)]);
    this.#committed_us = clock.now_us();
    this.#commits += 1;
    if (!published.is_ours) return null;
    this.#rows += progress.record_count;
    this.#mean_record_bytes = Math.max(1, progress.size_bytes / progress.record_count);
    const duration_ms = (this.#committed_us - started_us) / 1000;
    const commit = { rows: progress.record_count, size_bytes: progress.size_bytes, files: files.length, duration_ms };
    this.#options.committed?.(commit);
    return commit;
  }

  #startingOffsets({ metadata }: LoadedTable, bounds: readonly PartitionBounds[]): PartitionOffsets {
    const { topic } = this.#options;
    const committed = readOffsets(metadata, topic);
    for (const { partition, begin } of bounds) {
      if (committed.has(partition) || begin === 0) continue;
      const message =
        `Bronze has nothing of ${topic}/${partition}, and the log begins at offset ${begin}: ` +
        "older records were pruned";
      this.#publisher.report({ level: "warning", code: "BRONZE_STARTS_LATE", message });
    }
    return startingOffsets(committed, bounds, topic);
  }

  /**
   * Loads the current table before each commit, because maintenance and others also write to it, and a conflict costs a
   * commit.
   */
  async #open(catalog: TableCatalog): Promise<LoadedTable> {
    this.#table =
      this.#table === null
        ? await openBronze(catalog, this.#options.table)
        : await catalog.loadTable(this.#options.table);
    return this.#table;
  }

  async #publish(table: LoadedTable, batch: Parameters<typeof publish>[2]): ReturnType<typeof publish> {
    // After any error, the next attempt reloads the table from the catalog.
    this.#table = null;
    const published = await publish(this.#publisher, table, batch);
    this.#table = published.table;
    return published;
  }

  /** Waits until a commit is due; false where the signal aborted. */
  async #isDue(signal: AbortSignal): Promise<boolean> {
    const { log, topic, clock, limits } = this.#options;
    if (this.#table === null) return !signal.aborted;
    while (!signal.aborted) {
      const bounds = await log.bounds(topic);
      const pending = pendingRecords(this.#offsets, bounds);
      if (pending === 0) {
        await log.waitForAppend(topic, bounds, signal);
        continue;
      }
      if (isMuch(limits.pacing, { records: pending, size_bytes: pending * this.#mean_record_bytes })) return true;
      const idle_us = clock.now_us() - (this.#committed_us ?? -Infinity);
      const interval_ms = intervalAfter_ms(limits.pacing, this.#commits);
      if (hasPassed(idle_us, interval_ms)) return true;
      await pause(clock, Math.min(LOOK_MS, interval_ms - idle_us / 1000), signal);
    }
    return false;
  }

  /** Reports each retried failure, and the end of the stall once a retry succeeds. */
  async #runOnceWithRetry(signal: AbortSignal): Promise<void> {
    let has_failed = false;
    const failed = (error: OperatingError): void => {
      has_failed = true;
      this.#options.stalled?.(error);
      this.#publisher.report({ level: "warning", code: error.code, message: explain(error) });
    };
    const retry = { clock: this.#options.clock, signal, max_attempts: MAX_ATTEMPTS, backoff: BACKOFF, failed };
    await withRetry(retry, async () => {
      await this.runOnce();
      if (has_failed) this.#options.stalled?.(null);
    });
  }
}
