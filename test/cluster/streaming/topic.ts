import { Admin, Producer, type MessageToProduce } from "@platformatic/kafka";

/**
 * Time of record 0; each record is one microsecond after the previous one. A run crosses midnight, so it has two of the
 * table's partitions.
 */
const FIRST_AT_US = Date.UTC(2026, 0, 2) * 1000 - 500;

/** A topic whose record number N (from 0) is a function of N. */
export class Topic {
  readonly name: string;
  readonly partitions: number;
  /** Number of records. */
  count = 0;
  readonly #admin: Admin;
  readonly #producer: Producer;

  constructor(name: string, partitions: number, brokers: string) {
    const options = { clientId: "test", bootstrapBrokers: [brokers] };
    this.name = name;
    this.partitions = partitions;
    this.#admin = new Admin(options);
    this.#producer = new Producer({ ...options, idempotent: true });
  }

  async create(): Promise<void> {
    await this.#admin.createTopics({ topics: [this.name], partitions: this.partitions, replicas: 1 });
  }

  /** Resolves when the broker has all records. */
  async append(count: number): Promise<void> {
    const from = this.count;
    await this.#producer.send({
      messages: Array.from({ length: count }, (_, index) => this.#message(from + index)),
      acks: -1,
    });
    this.count += count;
  }

  /** Appends a record of a foreign producer: bytes without headers. */
  async appendForeign(partition: number, value: Buffer | null): Promise<void> {
    await this.#producer.send({ messages: [{ topic: this.name, partition, ...(value && { value }) }], acks: -1 });
  }

  #message(number: number): MessageToProduce {
    const headers = [
      ["source", "test"],
      ["ingested_at_us", String(FIRST_AT_US + number)],
    ].map(([name = "", value = ""]) => [Buffer.from(name), Buffer.from(value)] as const);
    return {
      topic: this.name,
      partition: number % this.partitions,
      key: Buffer.from("key"),
      value: Buffer.from(`{"number": ${number}}`),
      headers: new Map(headers),
    };
  }

  async close(): Promise<void> {
    await this.#producer.close();
    await this.#admin.close();
  }
}
