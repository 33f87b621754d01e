import { devNull } from "node:os";
import type { Clock } from "../../src/base/clock.ts";
import type { Batch, Producer, SourceRecord, SourceReport } from "../../src/producer/producer.ts";
import { FakeClock } from "./fake-clock.ts";

/** For producers without state in files: nothing can be created below a device. */
export const NO_FOLDER = devNull;

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
  options: {
    position?: string | null;
    clock?: Clock;
    max_records?: number;
    signal?: AbortSignal;
    folder?: string;
  } = {},
): Promise<Collected> {
  const {
    position = null,
    clock = new FakeClock(),
    max_records = Infinity,
    signal = new AbortController().signal,
    folder = NO_FOLDER,
  } = options;
  const collected: Collected = { records: [], batches: [], reports: [], position };
  const report = (said: SourceReport): void => void collected.reports.push(said);
  for await (const batch of producer.batches({ position, clock, signal, folder, report })) {
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
