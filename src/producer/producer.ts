import type { Clock } from "../base/clock.ts";

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

/** Messages that the source numbered and that did not come: ids `first_id` to `last_id` of a product, both included. */
export interface Gap {
  product: string;
  first_id: number;
  last_id: number;
  /** When it was noticed, microseconds UTC. */
  found_at_us: number;
  /** open: being filled; filled: every message came after all; lost: the source does not give them any more. */
  state: "open" | "filled" | "lost";
  /** Why it is lost; null otherwise. */
  reason: string | null;
}

/** How a source is doing, as its producer knows it. Whether it counts as silent is for the reader's clock to say. */
export interface SourceStatus {
  source: string;
  /**
   * connecting: not heard yet; live: connected, or polling on schedule; failed: being tried again after a failure;
   * ended: nothing more will come.
   */
  state: "connecting" | "live" | "failed" | "ended";
  /** One sentence for people, such as why it failed; null where there is nothing to say. */
  message: string | null;
  /**
   * The producer's clock at the last message of any kind, heartbeats included, microseconds UTC; null before the first.
   */
  heard_at_us: number | null;
  /** No message for longer than this is silence. */
  silent_after_ms: number;
  reconnects: number;
  /** Messages missed, by what became of them. */
  missed: { open: number; filled: number; lost: number };
  /** The newest gaps, newest first; bounded. */
  gaps: readonly Gap[];
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
  /**
   * Ends when the source has no more to give (a file), or when the signal aborts; throws an OperatingError when it
   * cannot go on.
   */
  batches(context: ProducerContext): AsyncIterable<Batch>;
  /** How each of its sources is doing, once `batches` was asked for; absent where there is nothing to connect to. */
  status?(): SourceStatus;
  /** How much there is in all and how much was given, in records, where that is known: for progress bars. */
  progress?(): { done: number; total: number | null };
}
