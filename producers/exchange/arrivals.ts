import { onAbort } from "../../src/base/abortable.ts";

/** One received item, in order of arrival. */
export interface Arrival {
  /** 0 for a message that yields no record. */
  size_bytes: number;
}

export interface ArrivalLimits {
  /** Capacity in messages and bytes; after an overflow, reading resumes at half of both. */
  max_waiting: number;
  max_waiting_bytes: number;
  /** Maximum messages per `take`. */
  max_taken: number;
  max_taken_bytes: number;
}

/**
 * Bounded FIFO of received messages, with back-pressure. It drops no message: when it is full, the reader of the socket
 * must pause. A paused socket still delivers data that it has already read, so one network read may exceed the bounds.
 */
export class Arrivals<T extends Arrival> {
  readonly #limits: ArrivalLimits;
  readonly #fullness: (is_full: boolean) => void;
  #waiting: T[] = [];
  #waiting_bytes = 0;
  #is_full = false;
  #failure: { error: unknown } | null = null;
  #arrived = Promise.withResolvers<void>();
  #capacity = Promise.withResolvers<void>();

  constructor(limits: ArrivalLimits, fullness: (is_full: boolean) => void) {
    this.#limits = limits;
    this.#fullness = fullness;
  }

  get is_full(): boolean {
    return this.#is_full;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  push(arrival: T): void {
    this.#waiting.push(arrival);
    this.#waiting_bytes += arrival.size_bytes;
    const { max_waiting, max_waiting_bytes } = this.#limits;
    if (!this.#is_full && (this.#waiting.length >= max_waiting || this.#waiting_bytes >= max_waiting_bytes)) {
      this.#is_full = true;
      this.#fullness(true);
    }
    this.#arrived.resolve();
  }

  /** Makes `take` throw the error once the waiting messages are taken. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#arrived.resolve();
  }

  /**
   * Resolves to the waiting messages, in order, as soon as there is one; to an empty array if the signal aborts first.
   */
  async take(signal: AbortSignal): Promise<T[]> {
    while (this.#waiting.length === 0) {
      if (this.#failure !== null) throw this.#failure.error;
      if (signal.aborted) return [];
      const stopListening = onAbort(signal, () => this.#arrived.resolve());
      await this.#arrived.promise;
      stopListening();
      this.#arrived = Promise.withResolvers<void>();
    }
    const taken = this.#waiting.splice(0, this.#fitting());
    for (const { size_bytes } of taken) this.#waiting_bytes -= size_bytes;
    const { max_waiting, max_waiting_bytes } = this.#limits;
    if (this.#is_full && this.#waiting.length <= max_waiting / 2 && this.#waiting_bytes <= max_waiting_bytes / 2) {
      this.#is_full = false;
      this.#capacity.resolve();
      this.#capacity = Promise.withResolvers<void>();
      this.#fullness(false);
    }
    return taken;
  }

  /** Resolves once messages are accepted again, or when the signal aborts. */
  async capacityOrAbort(signal: AbortSignal): Promise<void> {
    while (this.#is_full && !signal.aborted) {
      const aborted = Promise.withResolvers<void>();
      const stopListening = onAbort(signal, () => aborted.resolve());
      await Promise.race([this.#capacity.promise, aborted.promise]);
      stopListening();
    }
  }

  /** The number of messages that fit into one batch; at least one. */
  #fitting(): number {
    const { max_taken, max_taken_bytes } = this.#limits;
    let count = 0;
    let size_bytes = 0;
    for (const arrival of this.#waiting) {
      size_bytes += arrival.size_bytes;
      if (count > 0 && (count >= max_taken || size_bytes > max_taken_bytes)) break;
      count += 1;
    }
    return count;
  }
}
