import { isoFromMicros } from "../base/clock.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import type { Log, LogRecord, PartitionBounds } from "../log/log.ts";
import {
  endOffsets,
  hasOffsets,
  minOffsets,
  offsetsOfTopic,
  partitionKey,
  pendingRecords,
  type LogOffsets,
} from "../log/offsets.ts";
import { commitsSince } from "./tables.ts";

export interface LayerFreshness {
  layer: "log" | "bronze" | "silver" | "gold" | "live";
  records_behind: number;
  seconds_behind: number;
  newest_at: string | null;
  committed_at: string | null;
  commits_last_minute: number;
}

export interface FreshnessRequest {
  log: Log;
  topic: string;
  tables: readonly LoadedTable[];
  /** The offsets that the live tail has absorbed; null without a live tail. */
  live: LogOffsets | null;
  now_us: number;
  /**
   * Records of a replay have the recording's time, so ages are relative to the newest record, not to the clock.
   */
  is_replay: boolean;
}

/** Cache of record times: few offsets are read repeatedly. */
export class RecordTimes {
  readonly #log: Log;
  readonly #topic: string;
  readonly #known = new Map<string, number>();

  constructor(log: Log, topic: string) {
    this.#log = log;
    this.#topic = topic;
  }

  /** Ingestion time of the record in microseconds UTC; null if the log does not have it. */
  async at(partition: number, offset: number, { begin, end }: PartitionBounds): Promise<number | null> {
    if (offset < begin || offset >= end) return null;
    const key = `${partition}/${offset}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const record = await this.#read(partition, offset);
    if (record === null) return null;
    if (this.#known.size > 1_000) this.#known.clear();
    this.#known.set(key, record.ingested_at_us);
    return record.ingested_at_us;
  }

  async #read(partition: number, offset: number): Promise<LogRecord | null> {
    try {
      const [record] = await this.#log.read(this.#topic, partition, offset, { max_records: 1, max_bytes: 1 });
      return record ?? null;
    } catch (error) {
      if (error instanceof OperatingError && error.code === "OFFSET_PRUNED") return null;
      throw error;
    }
  }
}

/** Lag of every layer in records and time. */
export async function freshness(request: FreshnessRequest, times: RecordTimes): Promise<LayerFreshness[]> {
  const bounds = await request.log.bounds(request.topic);
  const end = endOffsets(request.topic, bounds);
  const newest_us = await newestBefore(end, bounds, request.topic, times);
  const reference_us = request.is_replay ? (newest_us ?? request.now_us) : request.now_us;
  const behind = (offsets: LogOffsets) => behindAt(offsets, bounds, request.topic, times, reference_us);
  const layers: LayerFreshness[] = [
    { layer: "log", ...(await behind(end)), committed_at: null, commits_last_minute: 0 },
  ];
  for (const layer of ["bronze", "silver", "gold"] as const) {
    const tables = request.tables.filter(({ identifier }) => identifier.namespace[0] === layer);
    const since_ms = request.now_us / 1000 - 60_000;
    const committed_ms = tables.flatMap(({ metadata }) => {
      const current = currentSnapshot(metadata);
      return current === null ? [] : [Number(current["timestamp-ms"])];
    });
    layers.push({
      layer,
      ...(await behind(commonOffsets(tables))),
      committed_at: committed_ms.length === 0 ? null : new Date(Math.max(...committed_ms)).toISOString(),
      commits_last_minute: Math.max(0, ...tables.map((table) => commitsSince(table, since_ms))),
    });
  }
  if (request.live !== null)
    layers.push({ layer: "live", ...(await behind(request.live)), committed_at: null, commits_last_minute: 0 });
  return layers;
}

/** The offsets that all of a layer's tables have consumed; tables that do not follow the log do not count. */
export function commonOffsets(tables: readonly LoadedTable[]): LogOffsets {
  return minOffsets(tables.map(({ metadata }) => consumedOffsets(metadata)).filter(hasOffsets));
}

/** The number of records of a topic that `consumed` lacks. */
export function topicLag(consumed: LogOffsets, topic: string, bounds: readonly PartitionBounds[]): number {
  return pendingRecords(offsetsOfTopic(consumed, topic), bounds);
}

async function behindAt(
  offsets: LogOffsets,
  bounds: readonly PartitionBounds[],
  topic: string,
  times: RecordTimes,
  reference_us: number,
) {
  const waiting_us: number[] = [];
  for (const bound of bounds) {
    // Offsets before the log's begin count from the oldest retained record.
    const next = Math.max(offsets[partitionKey(topic, bound.partition)] ?? bound.begin, bound.begin);
    if (next >= bound.end) continue;
    // A record pruned meanwhile was not younger than the newest one.
    const at_us =
      (await times.at(bound.partition, next, bound)) ?? (await times.at(bound.partition, bound.end - 1, bound));
    if (at_us !== null) waiting_us.push(at_us);
  }
  const newest_us = await newestBefore(offsets, bounds, topic, times);
  const records_behind = topicLag(offsets, topic, bounds);
  // Zero means no lag, so a layer with lag must not report zero when the clock is slightly behind the records.
  const least_s = records_behind > 0 ? 0.001 : 0;
  return {
    records_behind,
    seconds_behind: Math.max(
      least_s,
      waiting_us.length === 0 ? 0 : (reference_us - Math.min(...waiting_us)) / 1_000_000,
    ),
    newest_at: newest_us === null ? null : isoFromMicros(newest_us),
  };
}

async function newestBefore(
  offsets: LogOffsets,
  bounds: readonly PartitionBounds[],
  topic: string,
  times: RecordTimes,
): Promise<number | null> {
  let newest_us: number | null = null;
  for (const bound of bounds) {
    const next = offsets[partitionKey(topic, bound.partition)];
    const at_us = next === undefined ? null : await times.at(bound.partition, next - 1, bound);
    if (at_us !== null) newest_us = Math.max(newest_us ?? at_us, at_us);
  }
  return newest_us;
}
