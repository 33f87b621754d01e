import type { Clock } from "../clock.ts";

/** One message of the outside world, byte for byte as received. */
export interface SourceRecord {
  /** What it is about (a product, or the poll): records of one key share a partition, so they keep their order. */
  key: string;
  /** Who said it: the `source` column of bronze. A JSON-lines replay keeps the recorded one. */
  source: string;
  payload: Uint8Array;
  /** The producer's clock at receipt, in microseconds UTC. In a replay, the replay's clock. */
  ingested_at_us: number;
}

export interface Batch {
  records: readonly SourceRecord[];
  /** Where to go on after this batch; made durable in the same transaction as the records. */
  position?: string;
}

/** What a producer is doing, for status lines and logs; never holds a secret. */
export interface SourceReport {
  level: "info" | "warning" | "error";
  /** Stable, upper snake case: RATE_LIMITED, TIMED_OUT, BAD_STATUS, BUDGET_SPENT, CONNECTED ... */
  code: string;
  message: string;
}

export interface ProducerContext {
  /** The position made durable last, or null at the first start. */
  position: string | null;
  clock: Clock;
  signal: AbortSignal;
  report(report: SourceReport): void;
}

/** The kind of data a producer gives; a lake holds one kind only. */
export type LakeKind = "live" | "replay" | "simulated";

/**
 * A source of records. The runner pulls a batch, makes it durable, then pulls the next:
 * back-pressure is the pull itself, and no record is counted before it is on disk.
 */
export interface Producer {
  /** Names the position in the log: unique per source and, for a replay, per file content. */
  readonly id: string;
  readonly kind: LakeKind;
  /** Resolves if the source answers, else rejects with an OperatingError that says why not. */
  probe(signal: AbortSignal): Promise<void>;
  /** Ends when the source has no more to give (a file), or when the signal aborts; throws an OperatingError when it cannot go on. */
  batches(context: ProducerContext): AsyncIterable<Batch>;
  /** How much there is in all and how much was given, in records, where that is known: for progress bars. */
  progress?(): { done: number; total: number | null };
}
