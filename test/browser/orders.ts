import { ecommerce } from "../../pipelines/ecommerce.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";
import { startRunning, type Running } from "../serve/running.ts";

const MINUTE_MS = 60_000;
/** Minutes of orders, up to now. */
const MINUTES = 150;
const COMMITS = 2;

const STORES = ["berlin", "lisbon", "oslo"] as const;
/** The store whose sales fall by more than half for these minutes before the end, and the minutes without an order. */
const FALLING = "lisbon";
const FALL_MINUTES = [45, 30] as const;
const QUIET_MINUTES = [62, 60] as const;

const PRODUCTS = [
  { product_id: "p-100", name: "Espresso machine", category: "kitchen", cents: 24_900 },
  { product_id: "p-101", name: "Desk lamp", category: "home", cents: 3_450 },
  { product_id: "p-102", name: "Notebook, dotted", category: "office", cents: 895 },
  { product_id: "p-103", name: "Trail shoes", category: "sports", cents: 11_990 },
  { product_id: "p-104", name: "Headphones", category: "audio", cents: 7_900 },
  { product_id: "p-105", name: "Water bottle", category: "sports", cents: 1_650 },
  { product_id: "p-106", name: "Board game", category: "toys", cents: 3_295 },
] as const;

export interface PlacedOrder {
  store: string;
  placed_at_ms: number;
  cents: number;
  is_cancelled: boolean;
}

/** A server with its dashboard over a real lake of orders. */
export interface OpenOrders {
  running: Running;
  lake: TestLake;
  url: string;
  /** The orders as their last events leave them. */
  orders: readonly PlacedOrder[];
  /** Appends an order that was placed now; no table has it, only the live views. */
  place(order: { store: string; cents: number }): Promise<void>;
  close(): Promise<void>;
}

export async function openOrders(): Promise<OpenOrders> {
  const lakes = await Lakes.open({ pipeline: ecommerce });
  try {
    return await fill(lakes);
  } catch (error) {
    // An open worker would keep the test file from exiting.
    await lakes.close();
    throw error;
  }
}

async function fill(lakes: Lakes): Promise<OpenOrders> {
  const lake = await lakes.fresh();
  const start_ms = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - MINUTES * MINUTE_MS;
  const { orders, records } = history(start_ms);
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const [from, to] = [commit, commit + 1].map((n) => Math.floor((records.length * n) / COMMITS));
    await lake.append(records.slice(from, to));
    await lake.ingest();
    await lake.catchUp();
  }
  const tests = { ran_at_us: systemClock.now_us(), result: await lake.dataTests() };
  const running = await startRunning(lake);
  running.tests = tests;
  running.sources = running.sources.map((source) => ({
    ...source,
    source: "orders",
    heard_at_us: systemClock.now_us(),
  }));
  await running.caughtUp();
  let placed = 0;
  return {
    running,
    lake,
    url: running.url,
    orders,
    async place({ store, cents }) {
      placed += 1;
      const order = { store, placed_at_ms: Date.now() - 1, cents, is_cancelled: false };
      const created = event("order_created", { order, id: `late-${placed}`, customer: 1, lines: [[0, 1]] });
      await lake.append([fileOf(`late-${placed}.json`, [created], Date.now())]);
      await running.caughtUp();
    },
    async close() {
      await running.close();
      await lakes.close();
    },
  };
}

/** An empty lake of the pipeline. */
export async function openNoOrders(): Promise<Pick<OpenOrders, "url" | "running" | "close">> {
  const lakes = await Lakes.open({ pipeline: ecommerce });
  const running = await startRunning(await lakes.fresh());
  running.sources = [];
  return {
    running,
    url: running.url,
    async close() {
      await running.close();
      await lakes.close();
    },
  };
}

interface EventOf {
  order: PlacedOrder;
  id: string;
  customer: number;
  /** Index of the product and quantity. */
  lines: readonly [product: number, quantity: number][];
}

function centsOf(lines: EventOf["lines"]): number {
  return lines.reduce((sum, [product, quantity]) => sum + (PRODUCTS[product]?.cents ?? 0) * quantity, 0);
}

const money = (cents: number) => (cents / 100).toFixed(2);

/** An event of an order; what its lines do not explain of the total is shipping. */
function event(kind: "order_created" | "order_cancelled", { order, id, customer, lines }: EventOf, after_ms = 0) {
  return {
    event: kind,
    event_id: `${kind}-${id}`,
    occurred_at: new Date(order.placed_at_ms + after_ms).toISOString(),
    order: {
      id,
      store: order.store,
      currency: "USD",
      status: kind === "order_cancelled" ? "cancelled" : "placed",
      placed_at: new Date(order.placed_at_ms).toISOString(),
      customer: {
        id: `c${customer}`,
        name: `Customer ${customer}`,
        email: `c${customer}@example.org`,
        segment: ["new", "regular", "vip"][customer % 3],
        city: "Berlin",
        country: "DE",
      },
      items: lines.map(([product, quantity]) => {
        const { cents, ...named } = PRODUCTS[product] ?? PRODUCTS[0];
        return { ...named, quantity, unit_price: money(cents) };
      }),
      discount: "0.00",
      shipping: money(order.cents - centsOf(lines)),
      total: money(order.cents),
    },
  };
}

function fileOf(name: string, elements: readonly unknown[], at_ms: number): SourceRecord {
  return {
    key: name,
    source: "orders",
    ingested_at_us: at_ms * 1000,
    payload: Buffer.from(JSON.stringify({ file: name, first_element: 0, elements })),
  };
}

/** Orders of all stores, a file each five minutes, with cancellations, invalid events and a duplicate per file. */
function history(start_ms: number): { orders: PlacedOrder[]; records: SourceRecord[] } {
  const orders: PlacedOrder[] = [];
  const records: SourceRecord[] = [];
  let events: object[] = [];
  for (let minute = 0; minute < MINUTES; minute += 1) {
    const left = MINUTES - minute;
    for (const [index, store] of STORES.entries()) {
      const is_falling = store === FALLING && left <= FALL_MINUTES[0] && left > FALL_MINUTES[1];
      const is_quiet = left <= QUIET_MINUTES[0] && left > QUIET_MINUTES[1];
      const count = is_quiet ? 0 : is_falling ? Number(minute % 3 === 0) : 2 + ((minute * 7 + index * 3) % 4);
      for (let n = 0; n < count; n += 1) {
        const number = orders.length;
        const lines: [number, number][] = [
          [(number * 5) % PRODUCTS.length, 1 + (number % 2)],
          [(number * 3 + 1) % PRODUCTS.length, 1],
        ];
        const is_cancelled = number % 11 === 0;
        const placed_at_ms = start_ms + minute * MINUTE_MS + n * 9_000 + index * 500;
        const order = { store, placed_at_ms, cents: centsOf(lines) + 490, is_cancelled };
        const described = { order, id: `o${number}`, customer: number % 40, lines };
        orders.push(order);
        events.push(event("order_created", described));
        if (is_cancelled) events.push(event("order_cancelled", described, 3_000));
      }
    }
    if (minute % 5 === 4) {
      const name = `orders-${String(records.length).padStart(4, "0")}.json`;
      const [first] = events;
      const invalid = first === undefined ? [] : [{ ...first, event: "order_lost" }, first];
      records.push(fileOf(name, [...events, ...invalid, 5], start_ms + (minute + 1) * MINUTE_MS - 1));
      events = [];
    }
  }
  return { orders, records };
}
