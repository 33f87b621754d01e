import type { PartitionBounds } from "./log.ts";

/**
 * Log offsets by "<topic>/<partition>": the offset of the next record to read. A partition that is missing counts as
 * offset 0 in comparisons. Functions are pure and never change their arguments.
 */
export type LogOffsets = Readonly<Record<string, number>>;

/** The offsets of one topic, by partition. */
export type PartitionOffsets = ReadonlyMap<number, number>;

export const NO_LOG_OFFSETS: LogOffsets = {};

/** The key of a partition in `LogOffsets`. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/**
 * Splits a key at its last slash, because topics may contain slashes. The partition is NaN where the key has no number
 * after it.
 */
export function parsePartitionKey(key: string): { topic: string; partition: number } {
  const slash = key.lastIndexOf("/");
  return { topic: key.slice(0, slash), partition: slash === -1 ? NaN : Number(key.slice(slash + 1)) };
}

/**
 * The offsets in a JSON object; none for an absent text, null for a text that is not a JSON object. The values are not
 * validated.
 */
export function parseOffsets(text: string | undefined): LogOffsets | null {
  if (text === undefined) return NO_LOG_OFFSETS;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LogOffsets) : null;
  } catch {
    return null;
  }
}

export function formatOffsets(offsets: LogOffsets): string {
  return JSON.stringify(offsets);
}

export function hasOffsets(offsets: LogOffsets): boolean {
  return Object.keys(offsets).length > 0;
}

/** The lowest offset of each partition of the first element; no offsets where the list is empty. */
export function minOffsets(all: readonly LogOffsets[]): LogOffsets {
  const [first = NO_LOG_OFFSETS, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).map(([key, next]) => [key, Math.min(next, ...others.map((offsets) => offsets[key] ?? 0))]),
  );
}

/** The greater offset of each partition. */
export function maxOffsets(a: LogOffsets, b: LogOffsets): LogOffsets {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries(Array.from(keys, (key) => [key, Math.max(a[key] ?? 0, b[key] ?? 0)]));
}

/** Whether `consumed` is at or past `target` in every partition of `target`. */
export function coversOffsets(consumed: LogOffsets, target: LogOffsets): boolean {
  return Object.entries(target).every(([key, next]) => (consumed[key] ?? 0) >= next);
}

/** Whether both have the same partitions at the same offsets, in any order. */
export function equalOffsets(a: LogOffsets, b: LogOffsets): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** The sum of all offsets, to order offsets that are comparable and to show progress. */
export function totalOffset(offsets: LogOffsets): number {
  return Object.values(offsets).reduce((total, next) => total + next, 0);
}

/** A text that is equal for equal offsets, in any order of partitions; serves as a key of maps and sets. */
export function canonicalOffsets(offsets: LogOffsets): string {
  return Object.entries(offsets)
    .map(([key, next]) => `${key}=${next}`)
    .sort()
    .join(",");
}

/** The number of records from `consumed` up to `target`. */
export function recordsBetween(consumed: LogOffsets, target: LogOffsets): number {
  return Object.entries(target).reduce((sum, [key, next]) => sum + Math.max(0, next - (consumed[key] ?? 0)), 0);
}

/**
 * The number of records of the log from `consumed` up to its end; a partition without an offset counts from its begin.
 */
export function pendingRecords(consumed: PartitionOffsets, bounds: readonly PartitionBounds[]): number {
  return bounds.reduce(
    (pending, { partition, begin, end }) => pending + Math.max(0, end - (consumed.get(partition) ?? begin)),
    0,
  );
}

/** The end offset of each partition of the log. */
export function endOffsets(topic: string, bounds: readonly PartitionBounds[]): LogOffsets {
  return Object.fromEntries(bounds.map(({ partition, end }) => [partitionKey(topic, partition), end]));
}

export function offsetsOfTopic(offsets: LogOffsets, topic: string): Map<number, number> {
  const own = new Map<number, number>();
  for (const [key, next] of Object.entries(offsets)) {
    const { topic: name, partition } = parsePartitionKey(key);
    if (name === topic) own.set(partition, next);
  }
  return own;
}

/** `offsets` with those of one topic replaced; other topics keep theirs. */
export function withOffsetsOfTopic(offsets: LogOffsets, topic: string, own: PartitionOffsets): LogOffsets {
  return {
    ...offsets,
    ...Object.fromEntries(Array.from(own, ([partition, next]) => [partitionKey(topic, partition), next])),
  };
}
