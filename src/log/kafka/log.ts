import assert from "node:assert/strict";
import type { PartitionOffsets } from "../offsets.ts";
import type { RecordsBatch } from "@platformatic/kafka";
import type { SourceRecord } from "../../producer/producer.ts";
import { noop, type StepListener } from "../../base/failpoints.ts";
import { noSuchPartition, offsetPruned, partitionsDiffer, recordTooLarge } from "../errors.ts";
import type { Log, LogRecord, PartitionBounds, ReadLimits } from "../log.ts";
import { partitionOf } from "../partition.ts";
import { Appender } from "./appender.ts";
import { EARLIEST, KafkaClient, LATEST, type KafkaAddress } from "./client.ts";
import { recordsOf, toMessage } from "./record.ts";
import { checkTopic, PAYLOAD_MAX_BYTES, planTopics, positionsTopic, replication } from "./topic.ts";
import { TopicWatch } from "./watch.ts";

export interface KafkaLogOptions {
  /** `host:port` of some of the cluster's brokers. */
  brokers: readonly string[];
  /** Prefix of topic names, for clusters that serve several lakes. */
  prefix?: string;
  step?: StepListener;
  /** The time-out of the first answer, before LOG_UNREACHABLE. */
  connect_timeout_ms?: number;
  /**
   * How long requests are retried while brokers are unavailable, before LOG_UNREACHABLE or APPEND_UNCERTAIN; should
   * exceed the duration of a broker's restart.
   */
  timeout_ms?: number;
}

export interface PartitionLag extends PartitionBounds {
  /** Offset that the consumer reads next; null where it has committed none. */
  next: number | null;
  /** The number of records that the consumer has not read. */
  behind: number;
}

export interface KafkaLog extends Log {
  /**
   * Commits a consumer's offsets as those of a consumer group, so that every Kafka tool shows its lag. For information
   * only: the offsets in the consumer's own commit to its table are authoritative.
   */
  commitOffsets(topic: string, consumer: string, offsets: PartitionOffsets): Promise<void>;
  /** The lag of a consumer, by partition, from the offsets that it committed last. */
  lag(topic: string, consumer: string): Promise<PartitionLag[]>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 30_000;
const CLIENT_ID = "coinlake";
/** Kafka limits reads by bytes: the record size assumed until the first records have been read. */
const ASSUMED_RECORD_BYTES = 512;
const FETCH_MAX_BYTES = 8 * 1024 * 1024;
const PRUNE_LOOK: ReadLimits = { max_records: 1_000, max_bytes: 1024 * 1024 };

/**
 * The log in Kafka: a record is acknowledged once every in-sync replica has fsynced it. A producer's position is
 * written to a second, compacted topic after its records are acknowledged; docs/decisions/0002 states the guarantees.
 * Any number of processes may read and append. Throws LOG_UNREACHABLE, LOG_REJECTED, APPEND_UNCERTAIN,
 * TOPIC_SETTINGS_DIFFER, FOREIGN_RECORD.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<KafkaLog> {
  const address: KafkaAddress = {
    brokers: options.brokers,
    client_id: CLIENT_ID,
    timeout_ms: options.timeout_ms ?? TIMEOUT_MS,
  };
  const client = new KafkaClient(address);
  try {
    await client.countBrokers(options.connect_timeout_ms ?? CONNECT_TIMEOUT_MS);
  } catch (error) {
    await client.close();
    throw error;
  }
  return new LogInKafka(client, address, options);
}

class LogInKafka implements KafkaLog {
  readonly #client: KafkaClient;
  /** A separate client, because the broker delays answers to its requests, which would block other requests. */
  readonly #watching: KafkaClient;
  readonly #appender: Appender;
  readonly #prefix: string;
  readonly #step: StepListener;
  readonly #partitions = new Map<string, number>();
  readonly #watches = new Map<string, TopicWatch>();
  #record_bytes = ASSUMED_RECORD_BYTES;
  #closing: Promise<void> | null = null;

  constructor(client: KafkaClient, address: KafkaAddress, { prefix = "", step = noop }: KafkaLogOptions) {
    this.#client = client;
    this.#watching = new KafkaClient(address);
    this.#appender = new Appender(address, (name, partition, end) => this.#watches.get(name)?.reached(partition, end));
    this.#prefix = prefix;
    this.#step = step;
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    assert(Number.isInteger(partitions) && partitions > 0, "a topic has at least one partition");
    const copies = replication(await this.#client.countBrokers());
    const plans = planTopics(this.#prefix + topic, partitions);
    const outcomes = await Promise.all(plans.map((plan) => this.#client.makeTopic(plan, copies)));
    const found = plans.filter((_, index) => outcomes[index] === "found");
    if (found.length === 0) return;
    for (const { name, partitions: wanted } of found) {
      const present = await this.#client.countPartitions(name);
      if (present !== wanted) throw partitionsDiffer(name, present, wanted);
    }
    const described = await this.#client.describeSettings(found.map(({ name }) => name));
    for (const plan of found)
      checkTopic(plan, copies, {
        settings: described.get(plan.name),
        replicas: await this.#client.countReplicas(plan.name),
      });
  }

  async append(
    topic: string,
    records: readonly SourceRecord[],
    checkpoint?: { producer: string; position: string },
  ): Promise<void> {
    const { name, partitions } = await this.#topic(topic);
    const messages = records.map((record) => {
      if (record.payload.length > PAYLOAD_MAX_BYTES) throw recordTooLarge(record.payload.length, PAYLOAD_MAX_BYTES);
      return toMessage(name, partitionOf(record.key, partitions), record);
    });
    const position =
      checkpoint === undefined
        ? null
        : {
            topic: positionsTopic(name),
            partition: 0,
            key: Buffer.from(checkpoint.producer),
            value: Buffer.from(checkpoint.position),
          };
    this.#step("before append");
    await this.#appender.append({ topic: name, records: messages, position });
    this.#step("after append");
  }

  async read(topic: string, partition: number, offset: number, limits: ReadLimits): Promise<LogRecord[]> {
    const { name, partitions } = await this.#topic(topic);
    if (!(partition >= 0 && partition < partitions)) throw noSuchPartition(topic, partition);
    const records: LogRecord[] = [];
    let size_bytes = 0;
    for (;;) {
      const next = offset + records.length;
      const max_bytes = Math.min(
        Math.max(1, limits.max_bytes - size_bytes),
        Math.max(1, limits.max_records - records.length) * this.#record_bytes,
        FETCH_MAX_BYTES,
      );
      const fetched = await this.#client.fetch(name, partition, next, { max_bytes, max_wait_ms: 0 });
      if (fetched === null) {
        const begin = (await this.#client.listOffsets(name, EARLIEST))[partition] ?? 0;
        if (offset < begin) throw offsetPruned(topic, partition, offset, begin);
        return records;
      }
      if (limits.max_records < 1 || fetched.batches.length === 0) return records;
      this.#record_bytes = meanBytes(fetched.batches);
      for (const record of recordsOf(name, partition, fetched.batches, next)) {
        records.push(record);
        size_bytes += record.payload.length;
        if (size_bytes >= limits.max_bytes || records.length >= limits.max_records) return records;
      }
    }
  }

  async bounds(topic: string): Promise<PartitionBounds[]> {
    const { name } = await this.#topic(topic);
    // The end is read last, so that records pruned meanwhile do not seem to be past it.
    const begins = await this.#client.listOffsets(name, EARLIEST);
    const ends = await this.#client.listOffsets(name, LATEST);
    return begins.map((begin, partition) => ({ partition, begin, end: ends[partition] ?? begin }));
  }

  async position(topic: string, producer: string): Promise<string | null> {
    const { name } = await this.#topic(topic);
    const positions = positionsTopic(name);
    const key = Buffer.from(producer);
    let found: Buffer | null = null;
    let offset = (await this.#client.listOffsets(positions, EARLIEST))[0] ?? 0;
    for (;;) {
      const fetched = await this.#client.fetch(positions, 0, offset, { max_bytes: FETCH_MAX_BYTES, max_wait_ms: 0 });
      const last = fetched?.batches.at(-1);
      if (fetched === null || last === undefined) return found?.toString() ?? null;
      for (const { records } of fetched.batches)
        for (const record of records) if (record.key !== null && key.equals(record.key)) found = record.value;
      // Compaction leaves gaps and empty batches.
      offset = Number(last.firstOffset) + last.lastOffsetDelta + 1;
    }
  }

  async prune(topic: string, partition: number, before_offset: number, before_us: number): Promise<number> {
    const bounds = (await this.bounds(topic))[partition];
    if (bounds === undefined) throw noSuchPartition(topic, partition);
    const { begin, end } = bounds;
    const to = Math.min(before_offset, end, await this.#firstSince(topic, partition, before_us, end));
    if (to <= begin) return 0;
    await this.#client.deleteRecords(this.#prefix + topic, partition, to);
    return to - begin;
  }

  async waitForAppend(topic: string, ends: readonly PartitionBounds[], signal: AbortSignal): Promise<void> {
    const { name } = await this.#topic(topic);
    const watch = this.#watches.get(name) ?? new TopicWatch(this.#watching, name);
    this.#watches.set(name, watch);
    await watch.wait(ends, signal);
  }

  async commitOffsets(topic: string, consumer: string, offsets: PartitionOffsets): Promise<void> {
    const { name } = await this.#topic(topic);
    await this.#client.commit(name, this.#prefix + consumer, offsets);
  }

  async lag(topic: string, consumer: string): Promise<PartitionLag[]> {
    const { name } = await this.#topic(topic);
    const places = await this.#client.committed(name, this.#prefix + consumer);
    return (await this.bounds(topic)).map((bound) => {
      const next = places.get(bound.partition) ?? null;
      return { ...bound, next, behind: Math.max(0, bound.end - Math.max(next ?? 0, bound.begin)) };
    });
  }

  /** Waits for pending appends. */
  close(): Promise<void> {
    return (this.#closing ??= this.#closeAfterAppends());
  }

  async #closeAfterAppends(): Promise<void> {
    await this.#appender.close();
    await Promise.all([this.#watching.close(), this.#client.close()]);
  }

  /**
   * Offset of the first record ingested at or after a time; the end where there is none. Records that the broker
   * received before that time were also ingested before it, so Kafka's time index skips them. A replay's records have
   * ingestion times before their receipt, so the remaining records are read and compared.
   */
  async #firstSince(topic: string, partition: number, at_us: number, end: number): Promise<number> {
    const found = (await this.#client.listOffsets(this.#prefix + topic, Math.floor(at_us / 1000)))[partition] ?? -1;
    if (found < 0) return end;
    for (let offset = found; ;) {
      const records = await this.read(topic, partition, offset, PRUNE_LOOK);
      const first = records.find(({ ingested_at_us }) => ingested_at_us >= at_us);
      if (first !== undefined) return first.offset;
      if (records.length === 0) return end;
      offset += records.length;
    }
  }

  /** The topic's name in Kafka, and its number of partitions, which never changes. */
  async #topic(topic: string): Promise<{ name: string; partitions: number }> {
    const name = this.#prefix + topic;
    const partitions = this.#partitions.get(name) ?? (await this.#client.countPartitions(name));
    this.#partitions.set(name, partitions);
    return { name, partitions };
  }
}

function meanBytes(batches: readonly RecordsBatch[]): number {
  const records = batches.reduce((sum, batch) => sum + batch.records.length, 0);
  return Math.max(1, Math.ceil(batches.reduce((sum, { length }) => sum + length, 0) / Math.max(1, records)));
}
