/** The progress of a streaming query in one batch (org.apache.spark.sql.streaming.StreamingQueryProgress). */
export interface StreamProgress {
  /** Stays the same across restarts from a checkpoint. */
  query_id: string;
  name: string;
  batch_id: number;
  /** Start of the batch, ISO 8601 in UTC. */
  at: string;
  input_rows: number;
  duration_ms: number;
  sources: readonly SourceProgress[];
}

export interface SourceProgress {
  description: string;
  input_rows: number;
  /** The consumed offsets of the source after the batch; null for sources that are not a log. */
  end: Offsets | null;
  /** The source's end offsets at that time. */
  latest: Offsets | null;
  /** The number of records between the two; null where unknown. */
  lag: number | null;
}

/** The next offset, by topic and partition. */
export type Offsets = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Spark's JSON of the progress; offsets are JSON within text. */
interface SparkProgress {
  id: string;
  name: string | null;
  batchId: number;
  timestamp: string;
  durationMs: { triggerExecution?: number };
  sources: readonly { description: string; numInputRows: number; endOffset?: unknown; latestOffset?: unknown }[];
}

export function parseProgress(json: string): StreamProgress {
  const progress = JSON.parse(json) as SparkProgress;
  return {
    query_id: progress.id,
    name: progress.name ?? "",
    batch_id: progress.batchId,
    at: progress.timestamp,
    input_rows: sum(progress.sources.map(({ numInputRows }) => numInputRows)),
    duration_ms: progress.durationMs.triggerExecution ?? 0,
    sources: progress.sources.map(({ description, numInputRows, endOffset, latestOffset }) => {
      const end = asOffsets(endOffset);
      const latest = asOffsets(latestOffset);
      return { description, input_rows: numInputRows, end, latest, lag: end && latest && lagBetween(end, latest) };
    }),
  };
}

/** The number of unread records of all sources; null where one of them does not report it. */
export function lagOf({ sources }: Pick<StreamProgress, "sources">): number | null {
  return sources.reduce<number | null>((total, { lag }) => (total === null || lag === null ? null : total + lag), 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function asOffsets(field: unknown): Offsets | null {
  const value: unknown = typeof field === "string" && field.startsWith("{") ? JSON.parse(field) : null;
  if (typeof value !== "object" || value === null) return null;
  const is_offsets = Object.values(value).every(
    (topic) =>
      typeof topic === "object" &&
      topic !== null &&
      Object.values(topic as object).every((offset) => typeof offset === "number"),
  );
  return is_offsets ? (value as Offsets) : null;
}

/**
 * The number of unread records. A batch's latest offsets may be those of its start, so each difference is at least 0.
 */
function lagBetween(end: Offsets, latest: Offsets): number {
  const waiting = Object.entries(latest).flatMap(([topic, partitions]) =>
    Object.entries(partitions).map(([partition, offset]) => offset - (end[topic]?.[partition] ?? 0)),
  );
  return sum(waiting.map((records) => Math.max(0, records)));
}
