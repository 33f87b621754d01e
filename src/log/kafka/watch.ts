import { onAbort } from "../../base/abortable.ts";
import type { Broker } from "@platformatic/kafka";
import type { PartitionBounds } from "../log.ts";
import { LATEST, type KafkaClient } from "./client.ts";
import { isAnswer } from "./failure.ts";

/**
 * The maximum time for which the broker delays its answer while it has no records: an idle log costs one request per
 * second.
 */
const HOLD_MS = 1_000;
/** A fetch returns at least one batch, which is more than the watch needs. */
const LEAST_BYTES = 1;

interface Waiter {
  ends: ReadonlyMap<number, number>;
  wake(): void;
  fail(error: unknown): void;
}

/**
 * Notifies readers when a topic has grown: at once for appends of this process, and on the broker's answer for those of
 * other processes. All readers share one request per broker, on a separate connection, because a broker answers the
 * requests of a connection one after the other.
 */
export class TopicWatch {
  readonly #client: KafkaClient;
  readonly #topic: string;
  /** The highest known end offset, by partition. */
  readonly #ends = new Map<number, number>();
  readonly #waiters = new Set<Waiter>();
  /** Pending fetch requests, by broker. */
  readonly #asked = new Map<string, Promise<void>>();
  #is_following = false;

  constructor(client: KafkaClient, topic: string) {
    this.#client = client;
    this.#topic = topic;
  }

  reached(partition: number, end: number): void {
    if (end <= (this.#ends.get(partition) ?? 0)) return;
    this.#ends.set(partition, end);
    for (const waiter of this.#waiters) if (this.#isPast(waiter.ends)) waiter.wake();
  }

  /** Resolves when a partition's end exceeds the given one, or the signal aborts. */
  async wait(bounds: readonly PartitionBounds[], signal: AbortSignal): Promise<void> {
    const ends = new Map(bounds.map(({ partition, end }) => [partition, end]));
    if (signal.aborted || this.#isPast(ends)) return;
    for (const [partition, end] of ends) if (end > (this.#ends.get(partition) ?? 0)) this.#ends.set(partition, end);
    await new Promise<void>((resolve, reject) => {
      let stopListening = (): void => {};
      const leave = (): void => {
        this.#waiters.delete(waiter);
        stopListening();
      };
      const waiter: Waiter = {
        ends,
        wake: () => (leave(), resolve()),
        fail: (error) => (leave(), reject(error)),
      };
      this.#waiters.add(waiter);
      stopListening = onAbort(signal, waiter.wake);
      if (!this.#is_following) void this.#follow();
    });
  }

  #isPast(ends: ReadonlyMap<number, number>): boolean {
    return [...this.#ends].some(([partition, end]) => end > (ends.get(partition) ?? 0));
  }

  /** Fetches while any reader waits. */
  async #follow(): Promise<void> {
    this.#is_following = true;
    while (this.#waiters.size > 0) {
      try {
        await this.#client.untilAnswered("watch for new records", () => this.#look());
      } catch (error) {
        for (const waiter of this.#waiters) waiter.fail(error);
      }
    }
    this.#is_following = false;
  }

  /** Leaders answer at different times: each gets the next request after its answer. */
  async #look(): Promise<void> {
    for (const { broker, partitions } of await this.#client.leadersOf(this.#topic)) {
      const leader = `${broker.host}:${broker.port}`;
      if (!this.#asked.has(leader))
        this.#asked.set(
          leader,
          this.#ask(broker, partitions).finally(() => this.#asked.delete(leader)),
        );
    }
    await Promise.race(this.#asked.values());
  }

  async #ask(broker: Broker, partitions: readonly number[]): Promise<void> {
    const places = new Map(partitions.map((partition) => [partition, this.#ends.get(partition) ?? 0]));
    try {
      for (const { partition, end } of await this.#client.fetchFrom(broker, this.#topic, places, {
        max_bytes: LEAST_BYTES,
        max_wait_ms: HOLD_MS,
      }))
        this.reached(partition, end);
    } catch (error) {
      if (!isAnswer(error, "OFFSET_OUT_OF_RANGE")) throw error;
      // Another process appended further records and pruned them.
      for (const [partition, end] of (await this.#client.listOffsets(this.#topic, LATEST)).entries())
        this.reached(partition, end);
    }
  }
}
