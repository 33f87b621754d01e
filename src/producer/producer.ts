import type { Clock } from "../base/clock.ts";

/** One message of a source, byte for byte as received. */
export interface SourceRecord {
  /** The subject, such as a product or a poll. Records of one key share a partition and so keep their order. */
  key: string;
  /** The `source` column of bronze. A JSON-lines replay keeps the recorded source. */
  source: string;
  payload: Uint8Array;
  /** The producer's clock at receipt, in microseconds UTC. In a replay, the replay's clock. */
  ingested_at_us: number;
}

export interface Batch {
  records: readonly SourceRecord[];
  /** The position from which the producer resumes after this batch; durable in the same transaction as the records. */
  position?: string;
}

/** A producer's message for status lines and logs, without secrets. */
export interface SourceReport {
  level: "info" | "warning" | "error";
  /** Stable, upper snake case: RATE_LIMITED, TIMED_OUT, BAD_STATUS, BUDGET_SPENT, CONNECTED ... */
  code: string;
  message: string;
}

/** Numbered messages that were not received: ids `first_id` to `last_id` of a product, both included. */
export interface Gap {
  product: string;
  first_id: number;
  last_id: number;
  /** The time of detection, microseconds UTC. */
  found_at_us: number;
  /** open: being filled; filled: all messages were received; lost: the source no longer has them. */
  state: "open" | "filled" | "lost";
  /** Why the gap is lost; null otherwise. */
  reason: string | null;
}

/**
 * The state of a source, as its producer knows it. The reader decides by its own clock whether the source is silent.
 */
export interface SourceStatus {
  source: string;
  /**
   * connecting: no message yet; live: connected, or polling on schedule; failed: retrying; ended: no further messages.
   */
  state: "connecting" | "live" | "failed" | "ended";
  /** One sentence for people, such as the cause of a failure; null without a message. */
  message: string | null;
  /**
   * The producer's clock at the last message, heartbeats included, microseconds UTC; null before the first.
   */
  heard_at_us: number | null;
  /** A source without a message for this long is silent. */
  silent_after_ms: number;
  reconnects: number;
  /** The number of missed messages, by state of their gap. */
  missed: { open: number; filled: number; lost: number };
  /** The newest gaps, newest first; a bounded number. */
  gaps: readonly Gap[];
}

export interface ProducerContext {
  /** The last durable position; null at the first start. */
  position: string | null;
  clock: Clock;
  signal: AbortSignal;
  /**
   * The producer's own folder, for state that it can lose: a backup does not include it. Nothing creates the folder
   * until the producer does.
   */
  folder: string;
  report(report: SourceReport): void;
}

/** The kind of a producer's data. A lake holds one kind only. */
export type LakeKind = "live" | "replay" | "simulated";

/**
 * A source of records. The runner pulls a batch, makes it durable, then pulls the next. This
 * gives back-pressure, and no record counts before it is on disk.
 */
export interface Producer {
  /** The name under which the log stores the position: unique per source and, for a replay, per file content. */
  readonly id: string;
  readonly kind: LakeKind;
  /** Resolves if the source answers; rejects with an OperatingError otherwise. */
  probe(signal: AbortSignal): Promise<void>;
  /**
   * Ends with the source (a file) or when the signal aborts. Throws an OperatingError that stops the source.
   */
  batches(context: ProducerContext): AsyncIterable<Batch>;
  /** The state of the source after the first call of `batches`; absent for producers without a connection. */
  status?(): SourceStatus;
  /** The total number of records, where it is known, and the number given so far: for progress bars. */
  progress?(): { done: number; total: number | null };
}
