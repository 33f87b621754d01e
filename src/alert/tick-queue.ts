import type { TickBatch } from "./facade.ts";
import type { LogOffsets } from "../log/offsets.ts";

/** With more ticks than this the queue is dropped, and the engine reads them from the lake. */
const MAX_WAITING_TICKS = 500_000;

/**
 * A bounded FIFO of the batches that the live tail delivers. `has_gap` says that ticks are missing from it, because the
 * tail left them to the tables or because the queue was dropped: the lake's history has them.
 */
export class TickQueue {
  has_gap = true;
  #batches: TickBatch[] = [];
  #queued_ticks = 0;
  #taken_ticks = 0;
  /** The offsets after the last batch received. */
  #received: LogOffsets;

  constructor(received: LogOffsets) {
    this.#received = received;
  }

  get is_empty(): boolean {
    return this.#batches.length === 0;
  }

  /** Ticks received and not yet evaluated, those of the batch taken last included. */
  get waiting_ticks(): number {
    return this.#queued_ticks + this.#taken_ticks;
  }

  add(batch: TickBatch): void {
    this.#batches.push(batch);
    this.#queued_ticks += batch.ticks.length;
    const advance = Object.entries(batch.next).reduce(
      (sum, [name, next]) => sum + next - (this.#received[name] ?? 0),
      0,
    );
    this.#received = { ...batch.next };
    if (advance <= batch.records && this.waiting_ticks <= MAX_WAITING_TICKS) return;
    this.has_gap = true;
    this.clear();
  }

  /** The next batch. Its ticks count as waiting until `done`. */
  take(): TickBatch | undefined {
    const batch = this.#batches.shift();
    this.#taken_ticks = batch?.ticks.length ?? 0;
    this.#queued_ticks -= this.#taken_ticks;
    return batch;
  }

  done(): void {
    this.#taken_ticks = 0;
  }

  clear(): void {
    this.#batches = [];
    this.#queued_ticks = 0;
  }
}
