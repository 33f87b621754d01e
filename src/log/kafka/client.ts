import { setTimeout as wait } from "node:timers/promises";
import {
  Admin,
  ConfigResourceTypes,
  kGetApi,
  kGetConnection,
  TimeoutError,
  type API,
  type Broker,
  type ConfigDescription,
  type Connection,
  type fetchV17,
  type listOffsetsV9,
  type RecordsBatch,
} from "@platformatic/kafka";
import { OperatingError } from "../../base/errors.ts";
import { noSuchTopic } from "../errors.ts";
import { closed, isAnswer, isUnknownTopic, mayPass, rejected, unreachable } from "./failure.ts";
import { IN_SYNC_SETTING, type Replication, type TopicPlan } from "./topic.ts";

type FetchRequest = fetchV17.FetchRequest;
type ListOffsetsRequest = listOffsetsV9.ListOffsetsRequest;

export interface KafkaAddress {
  /** `host:port` of some brokers; the client discovers the others through them. */
  brokers: readonly string[];
  client_id: string;
  /** How long a request is retried while brokers are unavailable. */
  timeout_ms: number;
}

export interface Fetched {
  partition: number;
  batches: readonly RecordsBatch[];
  /** The end offset: that of the next acknowledged record. */
  end: number;
}

export interface FetchLimits {
  max_bytes: number;
  /** How long the broker may delay its answer while it has no records. */
  max_wait_ms: number;
}

/** ListOffsets' codes for the oldest retained record and for the end. */
export const EARLIEST = -2;
export const LATEST = -1;

const CONNECT_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 10_000;
const RETRY_PAUSE_MS = 200;

/** Fetches without a session (Kafka's KIP-227): each request lists everything that it wants. */
const NO_SESSION = { id: 0, epoch: -1 };
const ANY_REPLICA = -1;
const ANY_EPOCH = -1;
const READ_UNCOMMITTED = 0;

export function connectionOptions({ brokers, client_id }: KafkaAddress) {
  return {
    clientId: client_id,
    bootstrapBrokers: [...brokers],
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
  };
}

/**
 * Requests to a Kafka cluster, with one connection per broker. Each request is retried until the time-out. Throws
 * LOG_UNREACHABLE, LOG_REJECTED, LOG_CLOSED, TOPIC_NOT_FOUND.
 */
export class KafkaClient {
  readonly #address: KafkaAddress;
  readonly #admin: Admin;
  readonly #closing = new AbortController();

  constructor(address: KafkaAddress) {
    this.#address = address;
    this.#admin = new Admin({ ...connectionOptions(address), retries: 0 });
  }

  /** The current number of brokers. */
  async countBrokers(timeout_ms = this.#address.timeout_ms): Promise<number> {
    return await this.untilAnswered(
      "answer",
      async () => (await this.#admin.metadata({ topics: [], forceUpdate: true })).brokers.size,
      timeout_ms,
    );
  }

  async countPartitions(topic: string): Promise<number> {
    return (await this.untilAnswered("describe a topic", () => this.#describe(topic))).partitionsCount;
  }

  /** The replication factor of the topic: the lowest of its partitions. */
  async countReplicas(topic: string): Promise<number> {
    const { partitions } = await this.untilAnswered("describe a topic", () => this.#describe(topic));
    return Math.min(...partitions.map(({ replicas }) => replicas.length));
  }

  /**
   * Creates the topic unless it exists; returns whether it was created. Resolves once every partition accepts writes.
   */
  async makeTopic(
    { name, partitions, settings }: TopicPlan,
    { replicas, in_sync }: Replication,
  ): Promise<"made" | "found"> {
    const configs = Object.entries({ ...settings, [IN_SYNC_SETTING]: String(in_sync) }).map(([setting, value]) => ({
      name: setting,
      value,
    }));
    const outcome = await this.untilAnswered("make a topic", async () => {
      try {
        await this.#admin.createTopics({ topics: [name], partitions, replicas, configs });
        return "made" as const;
      } catch (error) {
        if (isAnswer(error, "TOPIC_ALREADY_EXISTS")) return "found" as const;
        throw error;
      }
    });
    // A new topic reaches the brokers one after the other.
    await this.untilAnswered("show the new topic", async () => {
      try {
        await this.#listOffsets(name, LATEST);
      } catch (error) {
        throw isNoSuchTopic(error) ? new TimeoutError("the topic is not there yet", { canRetry: true }) : error;
      }
    });
    return outcome;
  }

  async describeSettings(topics: readonly string[]): Promise<Map<string, ConfigDescription>> {
    const resources = topics.map((resourceName) => ({ resourceType: ConfigResourceTypes.TOPIC, resourceName }));
    const described = await this.untilAnswered("describe a topic's settings", () =>
      this.#admin.describeConfigs({ resources }),
    );
    return new Map(described.map((description) => [description.resourceName, description]));
  }

  /**
   * The offset per partition: the first at or after a time in milliseconds, or EARLIEST, or LATEST; -1 where there is
   * none.
   */
  async listOffsets(topic: string, at: number): Promise<number[]> {
    return await this.untilAnswered("list offsets", () => this.#listOffsets(topic, at));
  }

  /** Null where the offset is outside the partition's range. */
  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched | null> {
    return await this.untilAnswered("read", async () => {
      const leader = (await this.leadersOf(topic)).find(({ partitions }) => partitions.includes(partition));
      if (leader === undefined) throw new TimeoutError("the partition has no leader", { canRetry: true });
      try {
        return (await this.fetchFrom(leader.broker, topic, new Map([[partition, offset]]), limits))[0] ?? null;
      } catch (error) {
        if (isAnswer(error, "OFFSET_OUT_OF_RANGE")) return null;
        throw error;
      }
    });
  }

  /** Fetches once, from the broker that leads these partitions; `places` are offsets by partition. */
  async fetchFrom(
    broker: Broker,
    topic: string,
    places: ReadonlyMap<number, number>,
    { max_bytes, max_wait_ms }: FetchLimits,
  ): Promise<Fetched[]> {
    const { id } = await this.#describe(topic);
    const partitions = [...places].map(([partition, offset]) => ({
      partition,
      currentLeaderEpoch: ANY_EPOCH,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: ANY_EPOCH,
      partitionMaxBytes: max_bytes,
    }));
    const request: FetchRequest = [
      max_wait_ms,
      1,
      max_bytes,
      READ_UNCOMMITTED,
      NO_SESSION.id,
      NO_SESSION.epoch,
      [{ topicId: id, partitions }],
      [],
      "",
    ];
    const { responses } = await this.#ask<FetchRequest, fetchV17.FetchResponse>(broker, "Fetch", request);
    return responses.flatMap((response) => response.partitions.map(toFetched));
  }

  async leadersOf(topic: string): Promise<{ broker: Broker; partitions: number[] }[]> {
    const { brokers, topics } = await this.#admin.metadata({ topics: [topic] });
    const leaders = new Map<number, number[]>();
    for (const [partition, { leader }] of (topics.get(topic)?.partitions ?? []).entries())
      leaders.set(leader, [...(leaders.get(leader) ?? []), partition]);
    return [...leaders].flatMap(([leader, partitions]) => {
      const broker = brokers.get(leader);
      return broker === undefined ? [] : [{ broker, partitions }];
    });
  }

  /** Deletes records before the offset. */
  async deleteRecords(topic: string, partition: number, offset: number): Promise<void> {
    await this.untilAnswered("prune", () =>
      this.#admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(offset) }] }] }),
    );
  }

  /** The committed offsets of a consumer group, by partition. */
  async committed(topic: string, group: string): Promise<Map<number, number>> {
    const groups = await this.untilAnswered("read a consumer's offsets", () =>
      this.#admin.listConsumerGroupOffsets({ groups: [group] }),
    );
    const partitions = groups[0]?.topics.find(({ name }) => name === topic)?.partitions ?? [];
    return new Map(partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, Number(committedOffset)]));
  }

  async commit(topic: string, group: string, next: ReadonlyMap<number, number>): Promise<void> {
    const partitionOffsets = [...next].map(([partition, offset]) => ({ partition, offset: BigInt(offset) }));
    await this.untilAnswered("commit a consumer's offsets", () =>
      this.#admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] }),
    );
  }

  /** Retries transient failures at a fixed interval, until the time-out. */
  async untilAnswered<T>(verb: string, work: () => Promise<T>, timeout_ms = this.#address.timeout_ms): Promise<T> {
    const started_ms = performance.now();
    const waited_ms = (): number => performance.now() - started_ms;
    for (;;) {
      if (this.#closing.signal.aborted) throw closed();
      try {
        return await within(timeout_ms - waited_ms(), work());
      } catch (error) {
        if (this.#closing.signal.aborted) throw closed();
        if (error instanceof OperatingError) throw error;
        if (!mayPass(error)) throw rejected(verb, error);
        if (waited_ms() + RETRY_PAUSE_MS >= timeout_ms)
          throw unreachable(this.#address.brokers, verb, waited_ms(), error);
        this.#admin.clearMetadata();
      }
      // The loop's condition detects that `close` ended the wait.
      await wait(RETRY_PAUSE_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#admin.close();
  }

  /** Throws TOPIC_NOT_FOUND. */
  async #describe(topic: string) {
    try {
      const described = (await this.#admin.metadata({ topics: [topic] })).topics.get(topic);
      if (described !== undefined) return described;
    } catch (error) {
      if (!isUnknownTopic(error)) throw error;
    }
    throw noSuchTopic(topic);
  }

  async #listOffsets(topic: string, at: number): Promise<number[]> {
    const { partitionsCount } = await this.#describe(topic);
    const offsets = Array.from({ length: partitionsCount }, () => NaN);
    await Promise.all(
      (await this.leadersOf(topic)).map(async ({ broker, partitions }) => {
        const places = partitions.map((partitionIndex) => ({
          partitionIndex,
          currentLeaderEpoch: ANY_EPOCH,
          timestamp: BigInt(at),
        }));
        const request: ListOffsetsRequest = [ANY_REPLICA, READ_UNCOMMITTED, [{ name: topic, partitions: places }]];
        const { topics } = await this.#ask<ListOffsetsRequest, listOffsetsV9.ListOffsetsResponse>(
          broker,
          "ListOffsets",
          request,
        );
        for (const { partitionIndex, offset } of topics[0]?.partitions ?? []) offsets[partitionIndex] = Number(offset);
      }),
    );
    if (offsets.some(Number.isNaN)) throw new TimeoutError("a partition has no leader", { canRetry: true });
    return offsets;
  }

  /** Sends one request, in the newest version that both sides support. */
  async #ask<Request extends unknown[], Response>(broker: Broker, name: string, request: Request): Promise<Response> {
    const connection = await new Promise<Connection>((resolve, reject) => {
      this.#admin[kGetConnection](broker, (error, found) =>
        error === null ? resolve(found as Connection) : reject(error),
      );
    });
    const api = await new Promise<API<Request, Response>>((resolve, reject) => {
      this.#admin[kGetApi]<Request, Response>(name, (error, found) =>
        error === null ? resolve(found as API<Request, Response>) : reject(error),
      );
    });
    return await api.async(connection, ...request);
  }
}

function isNoSuchTopic(error: unknown): boolean {
  return error instanceof OperatingError && error.code === "TOPIC_NOT_FOUND";
}

function toFetched({ partitionIndex, highWatermark, records }: fetchV17.FetchResponsePartition): Fetched {
  return { partition: partitionIndex, batches: records ?? [], end: Number(highWatermark) };
}

/** Rejects after the time-out without ending the work: the client cannot cancel a request. */
async function within<T>(timeout_ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError("no answer came", { canRetry: true })), Math.max(0, timeout_ms));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
