/** What a streaming query did in one batch (org.apache.spark.sql.streaming.StreamingQueryProgress). */
export interface StreamProgress {
  /** Stays the same over restarts from a checkpoint. */
  query_id: string;
  name: string;
  batch_id: number;
  /** When the batch began, ISO 8601 in UTC. */
  at: string;
  input_rows: number;
  duration_ms: number;
  sources: readonly SourceProgress[];
}

export interface SourceProgress {
  description: string;
  input_rows: number;
  /** Where the source had been read to, by topic and partition; null for sources that are no log. */
  end: Offsets | null;
  /** Where it ended then. */
  latest: Offsets | null;
  /** Records between the two; null where it is not known. */
  lag: number | null;
}

/** The offset that comes next, by topic and partition. */
export type Offsets = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** As Spark writes it; offsets are JSON in text. */
interface Told {
  id: string;
  name: string | null;
  batchId: number;
  timestamp: string;
  durationMs: { triggerExecution?: number };
  sources: readonly { description: string; numInputRows: number; endOffset?: unknown; latestOffset?: unknown }[];
}

export function parseProgress(json: string): StreamProgress {
  const told = JSON.parse(json) as Told;
  return {
    query_id: told.id,
    name: told.name ?? "",
    batch_id: told.batchId,
    at: told.timestamp,
    input_rows: sum(told.sources.map(({ numInputRows }) => numInputRows)),
    duration_ms: told.durationMs.triggerExecution ?? 0,
    sources: told.sources.map(({ description, numInputRows, endOffset, latestOffset }) => {
      const end = asOffsets(endOffset);
      const latest = asOffsets(latestOffset);
      return { description, input_rows: numInputRows, end, latest, lag: end && latest && lagBetween(end, latest) };
    }),
  };
}

/** Records of all its sources that it had not read yet; null where one of them does not say. */
export function lagOf({ sources }: Pick<StreamProgress, "sources">): number | null {
  return sources.reduce<number | null>((total, { lag }) => (total === null || lag === null ? null : total + lag), 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function asOffsets(told: unknown): Offsets | null {
  const value: unknown = typeof told === "string" && told.startsWith("{") ? JSON.parse(told) : null;
  if (typeof value !== "object" || value === null) return null;
  const is_offsets = Object.values(value).every(
    (topic) =>
      typeof topic === "object" &&
      topic !== null &&
      Object.values(topic as object).every((offset) => typeof offset === "number"),
  );
  return is_offsets ? (value as Offsets) : null;
}

/** Records that wait. A batch's latest offsets may be those of its beginning: it is never less than nothing. */
function lagBetween(end: Offsets, latest: Offsets): number {
  const waiting = Object.entries(latest).flatMap(([topic, partitions]) =>
    Object.entries(partitions).map(([partition, offset]) => offset - (end[topic]?.[partition] ?? 0)),
  );
  return sum(waiting.map((records) => Math.max(0, records)));
}
