import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ecommerce } from "../../pipelines/ecommerce.ts";
import { DEFAULT_RATES, OrderStream, type Element } from "../../producers/orders/stream.ts";
import { truthOf } from "../../producers/orders/truth.ts";
import { Uploads, type Upload } from "../../producers/orders/uploads.ts";
import type { KnownContent, KnownStream, StreamOptions } from "./known-stream.ts";

/** The pace of files: a life of some seconds reads some dozens. */
const FILE_INTERVAL_MS = 250;
/** A file holds the events of a minute. The stream begins before midnight, so that a day changes during the kills. */
export const ORDERS = {
  start_ms: Date.parse("2025-10-10T22:40:00Z"),
  slot_ms: 60_000,
  orders_per_slot: 20,
  version_2_from_slot: 100,
  rates: { ...DEFAULT_RATES, invalid: 0.05, updated: 0.2, cancelled: 0.05, late: 0.05, duplicated: 0.05 },
} as const;

/** Orders that shops upload to a folder until `complete`: files come twice, renamed, late and half-written. */
export async function uploadedOrders({ folder, seed }: StreamOptions): Promise<KnownStream> {
  const inbox = join(folder, "inbox");
  mkdirSync(inbox);
  const uploads = new Uploads(new OrderStream({ seed, ...ORDERS }), { history_slots: 0, slots_per_history_file: 1 });
  let files = 0;
  const timer = setInterval(() => {
    for (const upload of [...uploads.start(files), ...uploads.finish(files - 1)]) applyUpload(inbox, upload);
    files += 1;
  }, FILE_INTERVAL_MS);
  // A failed round must not keep its process alive.
  timer.unref();
  return {
    options: ["--pipeline", ecommerce.name, "--source", `files:${inbox}`],
    has_speed: false,
    topic: ecommerce.topic.name,
    async complete() {
      clearInterval(timer);
      for (const upload of uploads.finish(files - 1)) applyUpload(inbox, upload);
      return writeTruth(
        Array.from({ length: files }, (_, file) => uploads.elements(file)).flat(),
        join(folder, `truth-${seed}.json`),
      );
    },
  };
}

/** Under a temporary name, then renamed: a reader sees each state of a file whole. */
export function applyUpload(inbox: string, upload: Upload): void {
  if (upload.kind === "rename") {
    renameSync(join(inbox, upload.from), join(inbox, upload.to));
    return;
  }
  const path = join(inbox, upload.name);
  writeFileSync(`${path}.tmp`, upload.bytes);
  renameSync(`${path}.tmp`, path);
}

/** Writes what a lake must hold that has read the elements, for `compare_orders.py`. */
export function writeTruth(elements: readonly Element[], truth_file: string): KnownContent {
  const { accepted, duplicates, rejected, orders, sales_per_minute } = truthOf(elements);
  const truth = {
    elements: elements.map(({ text, reason }) => [text, reason]),
    events: accepted.map(({ event_id, kind, occurred_ms, order }) => [
      event_id,
      [kind, occurred_ms, order.id, order.store, order.status, order.total_cents],
    ]),
    orders: [...orders.values()].map(({ id, event_id, kind, total_cents }) => [
      id,
      [event_id, kind === "order_cancelled", total_cents],
    ]),
    minutes: [...sales_per_minute].map(([minute_ms, cents]) => [minute_ms, Number(cents)]),
    rejected: [...rejected],
    duplicates,
  };
  writeFileSync(truth_file, JSON.stringify(truth));
  return {
    records: null,
    accepted: accepted.length,
    duplicates,
    rejected: [...rejected.values()].reduce((sum, count) => sum + count, 0),
    comparison: ["compare_orders.py", truth_file],
  };
}
