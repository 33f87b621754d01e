import { Producer, type MessageToProduce } from "@platformatic/kafka";
import { closed, rejected, mayPass, uncertain } from "./failure.ts";
import { connectionOptions, type KafkaAddress } from "./client.ts";
import { RECORD_OVERHEAD_BYTES } from "./record.ts";

/** One append: its records, and the producer's position after them. */
export interface Append {
  topic: string;
  records: readonly MessageToProduce[];
  position: MessageToProduce | null;
}

/**
 * Limits of one Kafka batch, which is a partition's part of a request. A batch is written entirely or not at all, and a
 * read returns it entirely, regardless of the read's limits.
 */
const BATCH_MAX_BYTES = 1024 * 1024;
const BATCH_MAX_RECORDS = 4096;
/** Brokers close the connection on requests above 100 MB; a record above this limit is sent in a separate request. */
const REQUEST_MAX_BYTES = 32 * 1024 * 1024;
const RETRY_PAUSE_MS = 200;
/** Kafka numbers a producer's records per partition in 31 bits, and the client does not start a new sequence itself. */
const RECORDS_PER_PRODUCER = 2 ** 30;

interface Waiting extends Append {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Appends in call order, one request at a time; appends that arrive while a request is in flight are batched into the
 * next one. An unanswered request is sent again with the same sequence numbers until the time-out (Kafka's idempotent
 * producer), so a broker that wrote it before it was killed does not write it twice. After a failure the sequence
 * numbers are unknown, and a new producer with new numbers replaces the old one.
 */
export class Appender {
  readonly #address: KafkaAddress;
  /** Called with a partition's new end offset. */
  readonly #reached: (topic: string, partition: number, end: number) => void;
  #producer: Producer | null = null;
  #produced = 0;
  #queue: Waiting[] = [];
  #is_working = false;
  #worked: Promise<void> = Promise.resolve();
  #is_closed = false;

  constructor(address: KafkaAddress, reached: (topic: string, partition: number, end: number) => void) {
    this.#address = address;
    this.#reached = reached;
  }

  async append(append: Append): Promise<void> {
    if (this.#is_closed) throw closed();
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ ...append, resolve, reject });
      if (!this.#is_working) this.#worked = this.#work();
    });
  }

  /** Waits for pending appends. */
  async close(): Promise<void> {
    this.#is_closed = true;
    await this.#worked;
    await this.#producer?.close();
  }

  async #work(): Promise<void> {
    this.#is_working = true;
    while (this.#queue.length > 0) {
      const together = this.#queue;
      this.#queue = [];
      try {
        for (const request of cutIntoRequests(together.flatMap(({ records }) => records))) await this.#send(request);
        // Later positions of a producer replace earlier ones, so their order is kept as well.
        const positions = together.flatMap(({ position }) => position ?? []);
        for (const request of cutIntoRequests(positions)) await this.#send(request);
        for (const { resolve } of together) resolve();
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.#is_working = false;
  }

  async #send(messages: MessageToProduce[]): Promise<void> {
    const producer = await this.#producerFor(messages.length);
    const { timeout_ms } = this.#address;
    const started_ms = performance.now();
    // The client itself would retry forever. After `close` it gives up, and does not send the request again.
    let is_given_up = false;
    const timer = setTimeout(() => {
      is_given_up = true;
      producer.close().catch(() => {});
    }, timeout_ms);
    try {
      const { offsets = [] } = await producer.send({ messages });
      for (const { topic, partition, offset } of offsets) {
        const count = messages.filter((message) => message.topic === topic && message.partition === partition).length;
        this.#reached(topic, partition, Number(offset) + count);
      }
    } catch (error) {
      this.#producer = null;
      await producer.close();
      const topic = messages[0]?.topic ?? "";
      throw is_given_up || mayPass(error)
        ? uncertain(topic, performance.now() - started_ms, error)
        : rejected(`append to ${topic}`, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #producerFor(records: number): Promise<Producer> {
    if (this.#produced + records > RECORDS_PER_PRODUCER) {
      await this.#producer?.close();
      this.#producer = null;
    }
    if (this.#producer === null) {
      this.#produced = 0;
      this.#producer = new Producer({
        ...connectionOptions(this.#address),
        idempotent: true,
        retryDelay: RETRY_PAUSE_MS,
      });
    }
    this.#produced += records;
    return this.#producer;
  }
}

/**
 * Splits messages into consecutive requests: each holds, per partition, at most one batch's limits, or one larger
 * record.
 */
function cutIntoRequests(messages: readonly MessageToProduce[]): MessageToProduce[][] {
  const requests: MessageToProduce[][] = [];
  let request_bytes = 0;
  let shares = new Map<string, { records: number; size_bytes: number }>();
  for (const message of messages) {
    const partition = `${message.topic}/${message.partition}`;
    const size_bytes = (message.key?.length ?? 0) + (message.value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    const share = shares.get(partition) ?? { records: 0, size_bytes: 0 };
    const is_batch_full =
      share.records >= BATCH_MAX_RECORDS || (share.records > 0 && share.size_bytes + size_bytes > BATCH_MAX_BYTES);
    const is_request_full = request_bytes > 0 && request_bytes + size_bytes > REQUEST_MAX_BYTES;
    if (requests.length === 0 || is_batch_full || is_request_full) {
      requests.push([]);
      request_bytes = 0;
      shares = new Map();
    }
    const { records, size_bytes: before_bytes } = shares.get(partition) ?? { records: 0, size_bytes: 0 };
    shares.set(partition, { records: records + 1, size_bytes: before_bytes + size_bytes });
    request_bytes += size_bytes;
    requests.at(-1)?.push(message);
  }
  return requests;
}
