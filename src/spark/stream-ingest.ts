import { explain } from "../base/explain.ts";
import { tableNamed } from "../iceberg/errors.ts";
import type { TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import { hasPassed } from "../base/pacing.ts";
import { OperatingError } from "../base/errors.ts";
import { readOffsets, writeOffsets } from "../ingest/offsets.ts";
import { pendingRecords, type PartitionOffsets } from "../log/offsets.ts";
import { LOG_OFFSETS_PROPERTY } from "../iceberg/metadata/log-offsets.ts";
import { MAX_CONSECUTIVE_FAILURES, withRetry, pause } from "../base/retry.ts";
import type { PartitionBounds } from "../log/log.ts";
import { BRONZE_CONSUMER, type Pipeline } from "../pipeline/definition.ts";
import type { SourceReport } from "../producer/producer.ts";
import type { ClusterParts } from "../lake/cluster-services.ts";
import type { StreamJob } from "./job.ts";
import { lagOf, type StreamProgress } from "./progress.ts";
import { SparkStreams, type StreamingQuery } from "./streams.ts";

export interface StreamIngestOptions {
  open: { catalog: TableCatalog; cluster: ClusterParts };
  pipeline: Pick<Pipeline, "topic" | "bronze">;
  /** The streaming job that copies the topic to the bronze table. */
  job: StreamJob;
  clock: Clock;
  report(report: SourceReport): void;
}

export interface StreamState {
  name: string;
  state: "starting" | "running" | "failed";
  /** The error, or Spark's status message. */
  message: string | null;
  /** The last batch; null before the first. */
  batch: {
    number: number;
    began_at: string;
    records: number;
    duration_ms: number;
    records_waiting: number | null;
  } | null;
}

const LOOK_MS = 500;
const PRUNE_INTERVAL_MS = 60_000;
/** Limits retries during a drain, because a person waits for it: two minutes of consecutive failures end it. */
const MOST_FAILURES_WHILE_DRAINING = 8;
const MAX_COMMIT_ATTEMPTS = 5;

/**
 * Ingests the log into bronze with a stream in Spark, which runs with or without this process. The stream commits rows;
 * this process writes their consumed offsets to the table after each batch, from the stream's progress. These offsets
 * never exceed the rows, and never decrease.
 */
export class StreamIngest {
  readonly #options: StreamIngestOptions;
  readonly #streams: SparkStreams;
  readonly #table: TableIdentifier;
  #consumed: PartitionOffsets = new Map();
  #state: Pick<StreamState, "state" | "message"> = { state: "starting", message: null };
  #progress: StreamProgress | null = null;
  #pruned_us = -Infinity;

  constructor(options: StreamIngestOptions) {
    this.#options = options;
    this.#streams = new SparkStreams(options.open.cluster.spark_remote);
    this.#table = tableNamed(options.pipeline.bronze.table);
  }

  /**
   * Keeps the stream running until the signal aborts, and leaves it running then. Throws after too many consecutive
   * failures.
   */
  async run(signal: AbortSignal): Promise<void> {
    await this.#withRetry(MAX_CONSECUTIVE_FAILURES, signal, async () => {
      const query = await this.#start();
      do await this.#look(query);
      while (await pause(this.#options.clock, LOOK_MS, signal));
    });
  }

  /** Resolves once bronze holds all records that were in the log at the call, or the signal aborts. */
  async drain(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const { open, pipeline, clock } = this.#options;
    let ends: readonly PartitionBounds[] | null = null;
    await this.#withRetry(MOST_FAILURES_WHILE_DRAINING, signal, async () => {
      ends ??= await open.cluster.kafka.bounds(pipeline.topic.name);
      const query = await this.#start();
      do {
        await this.#look(query);
        if (pendingRecords(this.#consumed, ends) === 0) return;
      } while (await pause(clock, LOOK_MS, signal));
    });
  }

  /** Unknown: Spark's records do not pass through this process. */
  meanRecordBytes(): null {
    return null;
  }

  state(): StreamState {
    const { name } = this.#options.job;
    if (this.#progress === null) return { name, ...this.#state, batch: null };
    const { batch_id, at, input_rows, duration_ms } = this.#progress;
    return {
      name,
      ...this.#state,
      batch: {
        number: batch_id,
        began_at: at,
        records: input_rows,
        duration_ms,
        records_waiting: lagOf(this.#progress),
      },
    };
  }

  close(): void {
    this.#streams.disconnect();
  }

  /** Restarts a failed stream, which resumes from its checkpoint. Only failures since the last batch count. */
  async #withRetry(max_attempts: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { clock, report } = this.#options;
    const failed = (error: OperatingError): void => {
      this.#state = { state: "failed", message: error.message };
      report({ level: "warning", code: error.code, message: explain(error) });
    };
    await withRetry({ clock, signal, max_attempts, failed, progress: () => this.#consumed }, work);
  }

  async #start(): Promise<StreamingQuery> {
    const { job, open } = this.#options;
    return job.start(this.#streams, { kafka_brokers: open.cluster.kafka_brokers });
  }

  /** Reads the stream's progress. Throws STREAM_FAILED, STREAM_STOPPED. */
  async #look(query: StreamingQuery): Promise<void> {
    const progress = await query.lastProgress();
    if (progress !== null) await this.#take(progress);
    await this.#prune();
    const { is_active, message } = await query.status();
    if (!is_active) throw ended(query.name, await query.failure());
    this.#state = { state: "running", message };
  }

  async #take(progress: StreamProgress): Promise<void> {
    this.#progress = progress;
    const { open, pipeline } = this.#options;
    const topic = pipeline.topic.name;
    const committed = progress.sources.flatMap(({ end }) =>
      Object.entries(end?.[topic] ?? {}).map(([partition, next]) => [Number(partition), next] as const),
    );
    const further = committed.filter(([partition, next]) => next > (this.#consumed.get(partition) ?? 0));
    if (further.length === 0) return;
    this.#consumed = await this.#advance(new Map(further));
    await open.cluster.kafka.commitOffsets(topic, BRONZE_CONSUMER, this.#consumed);
  }

  /** Advances the table's consumed offsets and returns them. Spark commits to the table at the same time. */
  async #advance(further: PartitionOffsets): Promise<PartitionOffsets> {
    const { catalog } = this.#options.open;
    const topic = this.#options.pipeline.topic.name;
    for (let attempt = 1; ; attempt += 1) {
      const { metadata } = await catalog.loadTable(this.#table);
      const consumed = readOffsets(metadata, topic);
      for (const [partition, next] of further) consumed.set(partition, Math.max(next, consumed.get(partition) ?? 0));
      const updates = { [LOG_OFFSETS_PROPERTY]: writeOffsets(metadata, topic, consumed) };
      try {
        await catalog.commit([
          {
            identifier: this.#table,
            requirements: [{ type: "assert-table-uuid", uuid: metadata["table-uuid"] }],
            updates: [{ action: "set-properties", updates }],
          },
        ]);
        return consumed;
      } catch (error) {
        if (!(error instanceof OperatingError) || !error.is_retryable || attempt >= MAX_COMMIT_ATTEMPTS) throw error;
      }
    }
  }

  async #prune(): Promise<void> {
    const { open, pipeline, clock } = this.#options;
    const now_us = clock.now_us();
    if (!hasPassed(now_us - this.#pruned_us, PRUNE_INTERVAL_MS)) return;
    this.#pruned_us = now_us;
    const { name, retention_ms } = pipeline.topic;
    for (const [partition, next] of this.#consumed)
      await open.cluster.kafka.prune(name, partition, next, now_us - retention_ms * 1000);
  }
}

function ended(name: string, failure: string | null): OperatingError {
  const why = failure === null ? "was stopped" : `failed: ${failure.split("\n")[0]}`;
  return new OperatingError(failure === null ? "STREAM_STOPPED" : "STREAM_FAILED", `The stream "${name}" ${why}`, {
    next_step: "It is started again, from its checkpoint; what was not committed is read from Kafka again.",
    is_retryable: true,
  });
}
