import type { Producer } from "../src/producer/producer.ts";
import { FILES_DEFAULTS, LOCAL_INTERVAL_MS, S3_INTERVAL_MS } from "./files.ts";
import { FilesSource } from "./files/source.ts";
import { openOrderInbox, type InboxOptions } from "./orders/inbox.ts";
import { checkOptions, DEFAULT_RATES } from "./orders/stream.ts";

export type SimulatedOrdersOptions = InboxOptions;

export const SIMULATED_ORDERS_DEFAULTS = {
  seed: 1,
  slot_ms: 5_000,
  orders_per_slot: 12,
  rates: DEFAULT_RATES,
  history_ms: 3 * 3_600_000,
  slots_per_history_file: 60,
  version_1_share: 2 / 3,
  is_until_drained: false,
  location: null,
} as const satisfies SimulatedOrdersOptions;

/**
 * A seeded shop that uploads its orders as files, with realistic data errors, into a folder of the producer or an S3
 * prefix, and the source that reads them. The first start writes the past of the shop in larger files. Throws a
 * RangeError for options out of bounds.
 */
export function simulatedOrders(options: Partial<SimulatedOrdersOptions> = {}): Producer {
  const complete: SimulatedOrdersOptions = { ...SIMULATED_ORDERS_DEFAULTS, ...options };
  checkOptions(complete);
  const { seed, slot_ms, orders_per_slot, location, is_until_drained } = complete;
  return new FilesSource({
    ...FILES_DEFAULTS,
    // The id contains the options that determine the orders: other options yield another stream and ledger.
    id: ["simulated-orders", seed, slot_ms, orders_per_slot, ...(location === null ? [] : [location])].join(":"),
    kind: "simulated",
    source: "orders",
    interval_ms: location === null ? LOCAL_INTERVAL_MS : S3_INTERVAL_MS,
    is_until_drained,
    openInbox: (folder, { clock, position }) =>
      openOrderInbox(folder, complete, clock.now_us() / 1000, position === null),
  });
}
