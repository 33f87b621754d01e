import type { Clock } from "../../src/base/clock.ts";
import type { Batch, Producer, SourceRecord, SourceReport } from "../../src/producer/producer.ts";
import { FakeClock } from "./fake-clock.ts";

export interface Collected {
  records: SourceRecord[];
  batches: Batch[];
  reports: SourceReport[];
  /** The last position in any batch. */
  position: string | null;
}

/**
 * The records of a producer from a position, up to `max_records` if given; the producer is then abandoned, as in a
 * crash.
 */
export async function collect(
  producer: Producer,
  options: { position?: string | null; clock?: Clock; max_records?: number; signal?: AbortSignal } = {},
): Promise<Collected> {
  const {
    position = null,
    clock = new FakeClock(),
    max_records = Infinity,
    signal = new AbortController().signal,
  } = options;
  const collected: Collected = { records: [], batches: [], reports: [], position };
  const report = (said: SourceReport): void => void collected.reports.push(said);
  for await (const batch of producer.batches({ position, clock, signal, report })) {
    if (collected.records.length + batch.records.length > max_records) break;
    collected.records.push(...batch.records);
    collected.batches.push(batch);
    collected.position = batch.position ?? collected.position;
  }
  return collected;
}

export function textOf(record: SourceRecord | undefined): string {
  return Buffer.from(record?.payload ?? []).toString("utf8");
}
