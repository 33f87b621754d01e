import type { Log } from "../../src/log/log.ts";
import type { SourceRecord } from "../../src/source/producer.ts";

/** As much of a log as a producer's run needs: what was appended, where it stands, and a failure on command. */
export class MemoryLog {
  readonly records: SourceRecord[] = [];
  readonly batch_sizes: number[] = [];
  readonly positions = new Map<string, string>();
  /** Thrown by the append that would take the log past this many records; that append leaves nothing behind. */
  fails_past = Infinity;
  failure: Error = new Error("the log failed");

  async append(_topic: string, records: readonly SourceRecord[], checkpoint?: { producer: string; position: string }): Promise<void> {
    if (this.records.length + records.length > this.fails_past) throw this.failure;
    this.records.push(...records);
    this.batch_sizes.push(records.length);
    if (checkpoint !== undefined) this.positions.set(checkpoint.producer, checkpoint.position);
  }

  async position(_topic: string, producer: string): Promise<string | null> {
    return this.positions.get(producer) ?? null;
  }

  asLog(): Log {
    return this as unknown as Log;
  }
}
