import { FileRecords } from "../../producers/files/source-record.ts";
import { DEFAULT_RATES, OrderStream, type Element } from "../../producers/orders/stream.ts";
import { truthOf } from "../../producers/orders/truth.ts";
import { uniform } from "../../producers/simulated/random.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";

const START_MS = Date.parse("2026-03-01T22:30:00Z");
const SLOT_MS = 60_000;
const SLOTS = 150;
const SLOTS_PER_FILE = 10;
export const INGESTED_MS = START_MS + SLOTS * SLOT_MS;

/** More errors than in operation, so that a small stream has all of them; version 2 begins in the middle. */
const stream = new OrderStream({
  seed: 7,
  start_ms: START_MS,
  slot_ms: SLOT_MS,
  orders_per_slot: 6,
  version_2_from_slot: SLOTS / 2,
  rates: { ...DEFAULT_RATES, invalid: 0.1, updated: 0.3, cancelled: 0.1, late: 0.05, duplicated: 0.1 },
});

/** The outcome of `orderFiles`, computed without the pipeline. */
export const truth = truthOf(Array.from({ length: SLOTS }, (_, slot) => stream.elements(slot)).flat());

/** The records of each file of a small stream of orders, as the source packs them. */
export const orderFiles: readonly SourceRecord[][] = Array.from({ length: SLOTS / SLOTS_PER_FILE }, (_, file) =>
  recordsOf(
    `orders-${file}.jsonl`,
    Array.from({ length: SLOTS_PER_FILE }, (_slot, slot) => stream.elements(file * SLOTS_PER_FILE + slot)).flat(),
  ),
);

/** The files in a random order, in so many parts. */
export function shuffledParts(parts: number): SourceRecord[][] {
  const order = orderFiles.map((file, index) => ({ file, rank: uniform(3, 1, index, 0) }));
  order.sort((a, b) => a.rank - b.rank);
  const share = Math.ceil(order.length / parts);
  return Array.from({ length: parts }, (_, part) =>
    order.slice(part * share, (part + 1) * share).flatMap(({ file }) => file),
  );
}

/** Records that are one event each, none of them in a file. */
export function singleRecords(payloads: readonly (string | Uint8Array)[]): SourceRecord[] {
  return payloads.map((payload, number) => ({
    key: String(number),
    source: "orders",
    payload: typeof payload === "string" ? Buffer.from(payload) : payload,
    ingested_at_us: INGESTED_MS * 1000,
  }));
}

/** Cents by minute, as `SALES_SQL` lists them. */
export function salesOfTruth(): [string, string][] {
  return [...truth.sales_per_minute]
    .filter(([, cents]) => cents !== 0n)
    .sort(([a], [b]) => a - b)
    .map(([minute_ms, cents]) => [String(minute_ms), String(cents)]);
}

function recordsOf(file: string, elements: readonly Element[]): SourceRecord[] {
  const records = new FileRecords({ file, source: "orders" }, 0, () => INGESTED_MS * 1000);
  for (const { text } of elements) {
    const bytes = Buffer.from(text);
    records.add({ bytes, size_bytes: bytes.length, reason: null });
  }
  records.end();
  return records.take().map(({ record }) => record);
}
