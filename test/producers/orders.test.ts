import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import * as fc from "fast-check";
import { CUSTOMERS, customerAt, productAt, PRODUCTS } from "../../producers/orders/catalogue.ts";
import { DEFAULT_RATES, OrderStream, type Element, type StreamOptions } from "../../producers/orders/stream.ts";
import { truthOf, type Truth } from "../../producers/orders/truth.ts";
import { Uploads } from "../../producers/orders/uploads.ts";
import { simulatedOrders, SIMULATED_ORDERS_DEFAULTS } from "../../producers/simulated-orders.ts";
import { producerFolder } from "../../src/producer/folder.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { Reading, ScriptedClock } from "./files/reading.ts";
import { judge, type Judged } from "./orders/judge.ts";

const START_MS = Date.parse("2025-10-10T12:00:00Z");
const HOUR_MS = 3_600_000;
const folder = temporaryFolder();
after(() => folder.remove());

const base: StreamOptions = {
  seed: 1,
  start_ms: START_MS,
  slot_ms: 5_000,
  orders_per_slot: 12,
  version_2_from_slot: Infinity,
  rates: DEFAULT_RATES,
};

function elementsOf(stream: OrderStream, slots: number): Element[] {
  return Array.from({ length: slots }, (_, slot) => stream.elements(slot)).flat();
}

/** The truth in the form of the second implementation. */
function inWords({ accepted, duplicates, rejected, sales_per_minute }: Truth): Judged {
  const minute = (at_ms: number): string => new Date(at_ms).toISOString().slice(0, 16);
  return {
    accepted: accepted.map(({ event_id }) => event_id),
    duplicates,
    rejected: Object.fromEntries(rejected),
    sales: Object.fromEntries([...sales_per_minute].map(([at_ms, cents]) => [minute(at_ms), cents])),
  };
}

const rate = fc.double({ min: 0, max: 0.5, noNaN: true });
const anyStream = fc.record({
  seed: fc.integer(),
  start_ms: fc.integer({ min: START_MS, max: START_MS + 1e10 }),
  slot_ms: fc.integer({ min: 100, max: 120_000 }),
  orders_per_slot: fc.integer({ min: 1, max: 15 }),
  version_2_from_slot: fc.integer({ min: 0, max: 60 }),
  rates: fc.record({ invalid: rate, updated: rate, cancelled: rate, late: rate, duplicated: rate }),
});

test("the expected verdicts, duplicates and sales per minute equal a second implementation's from the texts", () => {
  fc.assert(
    fc.property(anyStream, (options) => {
      const elements = elementsOf(new OrderStream(options), 60);
      const written_ms = options.start_ms + 60 * options.slot_ms;
      const judged = judge(
        elements.map(({ text }) => text),
        written_ms,
      );
      assert.deepEqual(inWords(truthOf(elements)), judged);
    }),
    { numRuns: 40 },
  );
});

test("a slot has the same bytes in any order of computation, and another seed gives others", () => {
  fc.assert(
    fc.property(anyStream, fc.array(fc.nat(80), { minLength: 1, maxLength: 6 }), (options, slots) => {
      const sequential = new OrderStream(options);
      const all = Array.from({ length: 81 }, (_, slot) => sequential.elements(slot));
      const other = new OrderStream(options);
      for (const slot of slots) assert.deepEqual(other.elements(slot), all[slot]);
      assert.notEqual(new OrderStream({ ...options, seed: options.seed ^ 1 }).elements(0)[0]?.text, all[0]?.[0]?.text);
    }),
    { numRuns: 20 },
  );
});

test("invalid, updated, cancelled, late and duplicate events occur at their rates", () => {
  const slots = 2_500;
  const elements = elementsOf(new OrderStream(base), slots);
  const { accepted, duplicates, rejected } = truthOf(elements);
  const created = accepted.filter(({ kind }) => kind === "order_created");
  const share = (count: number, of: number, expected: number): void =>
    assert.ok(Math.abs(count / of / expected - 1) < 0.15, `${count} of ${of}, not ${expected}`);
  const invalid = [...rejected.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(created.length > 25_000);
  assert.equal(rejected.size, 10);
  share(invalid, elements.length, 0.02);
  share(duplicates, elements.length, 0.01);
  share(accepted.filter(({ kind }) => kind === "order_updated").length, created.length, 0.05);
  share(accepted.filter(({ kind }) => kind === "order_cancelled").length, created.length, 0.02);
  const late = created.filter(({ occurred_ms }) => occurred_ms < START_MS - HOUR_MS);
  share(late.length, created.length * (35 / 36), 0.01);
  // The events of some orders tie in time, or are written in another order than they occurred.
  const written = new Map<string, number>();
  let [swapped, tied] = [0, 0];
  for (const { kind, occurred_ms, order } of accepted) {
    const before_ms = written.get(order.id);
    if (before_ms !== undefined && kind === "order_created") swapped += 1;
    if (before_ms === occurred_ms) tied += 1;
    written.set(order.id, occurred_ms);
  }
  assert.ok(swapped > 50 && tied > 50, `${swapped} swapped, ${tied} tied`);
});

test("products change name and price, customers move, and a few customers place many orders", () => {
  const week_ms = 7 * 24 * HOUR_MS;
  const versions = (of: (at_ms: number) => unknown): number =>
    new Set(Array.from({ length: 85 }, (_, index) => JSON.stringify(of(START_MS + (index * week_ms) / 84)))).size;
  const products = Array.from({ length: PRODUCTS }, (_, product) => versions((at_ms) => productAt(1, product, at_ms)));
  const names = Array.from({ length: PRODUCTS }, (_, product) =>
    versions((at_ms) => productAt(1, product, at_ms).name),
  );
  const cities = Array.from({ length: CUSTOMERS }, (_, customer) =>
    versions((at_ms) => customerAt(1, customer, at_ms).city),
  );
  assert.ok(products.every((count) => count > 1));
  assert.ok(names.filter((count) => count > 1).length > PRODUCTS / 2);
  const moving = cities.filter((count) => count > 1).length;
  assert.ok(moving > CUSTOMERS / 20 && moving < CUSTOMERS, `${moving} customers move in a week`);
  const orders = new Map<string, number>();
  for (const { order } of truthOf(elementsOf(new OrderStream(base), 500)).accepted)
    orders.set(order.customer.id, (orders.get(order.customer.id) ?? 0) + 1);
  assert.ok(orders.size > 500 && Math.max(...orders.values()) > 100);
});

test("schema version 2 renames the price, splits the name and adds the channel, from its first slot on", () => {
  const stream = new OrderStream({ ...base, version_2_from_slot: 10, rates: { ...DEFAULT_RATES, invalid: 0 } });
  for (let slot = 0; slot < 20; slot += 1) {
    for (const { text } of stream.elements(slot)) {
      const { schema_version, order } = JSON.parse(text) as {
        schema_version?: number;
        order: { channel?: string; customer: object; items: object[] };
      };
      const is_second = slot >= 10;
      assert.equal(schema_version, is_second ? 2 : undefined);
      assert.equal("channel" in order, is_second);
      assert.deepEqual(["name" in order.customer, "first_name" in order.customer], [!is_second, is_second]);
      for (const item of order.items)
        assert.deepEqual(["unit_price" in item, "price" in item], [!is_second, is_second]);
    }
  }
});

const HISTORY = { history_ms: 40 * 60_000, orders_per_slot: 3, slots_per_history_file: 20 } as const;

/** The elements of the first files of the stream that a producer with these options writes. */
function writtenElements(start_ms: number, slot_ms: number, history_slots: number, files?: number): Element[] {
  const { seed, version_1_share, rates } = SIMULATED_ORDERS_DEFAULTS;
  const version_2_from_slot = Math.floor(history_slots * version_1_share);
  const { orders_per_slot, slots_per_history_file } = HISTORY;
  const stream = new OrderStream({ seed, start_ms, slot_ms, orders_per_slot, version_2_from_slot, rates });
  const uploads = new Uploads(stream, { history_slots, slots_per_history_file });
  return Array.from({ length: files ?? uploads.history_files }, (_, file) => uploads.elements(file)).flat();
}

/** The texts in the log; of a malformed piece its text. */
async function textsIn(reading: Reading): Promise<string[]> {
  const payloads = await reading.payloads();
  return payloads.flatMap(
    ({ elements, malformed = "" }) => elements?.map((element) => JSON.stringify(element)) ?? [malformed],
  );
}

test("the simulated shop's history is in the log exactly once, to the cent, also after restarts", async () => {
  const reading = new Reading(join(folder.path, "history"));
  const make = () => simulatedOrders({ ...HISTORY, is_until_drained: true });
  // Stops within the writing of the files and within their reading.
  for (const for_s of [0.5, 1.5, 3.5]) {
    await reading.run({ producer: make(), for_s });
    // What a kill between a file and the writer's state leaves: the same file is written again.
    const state_file = join(producerFolder(reading.lake_folder, make().id), "writer.json");
    const state = JSON.parse(await readFile(state_file, "utf8")) as { next_file: number };
    assert.ok(state.next_file > 0);
    await writeFile(state_file, JSON.stringify({ ...state, next_file: state.next_file - 1 }));
  }
  await reading.run({ producer: make() });
  const history_slots = HISTORY.history_ms / 5_000;
  const start_ms = START_MS - HISTORY.history_ms;
  const truth = truthOf(writtenElements(start_ms, 5_000, history_slots));
  const judged = judge(await textsIn(reading), START_MS);
  assert.deepEqual(judged.rejected, Object.fromEntries(truth.rejected));
  assert.equal(judged.duplicates, truth.duplicates);
  assert.deepEqual(judged.accepted.toSorted(), inWords(truth).accepted.toSorted());
  assert.deepEqual(judged.sales, inWords(truth).sales);
  assert.deepEqual(reading.codes(), []);
});

test("a live shop adds a file every few seconds, and deletes files five minutes after they were written", async () => {
  const reading = new Reading(join(folder.path, "live"));
  const now_us = Date.now() * 1000;
  const clock = new ScriptedClock(now_us);
  const make = () => simulatedOrders({ ...HISTORY, slot_ms: 8_000, history_ms: 24_000 });
  await reading.run({ producer: make(), clock, for_s: 240 });
  const judged = judge(await textsIn(reading), Date.now() + 600_000);
  const start_ms = Math.floor(now_us / 1000) - 24_000;
  const expected = new Set(inWords(truthOf(writtenElements(start_ms, 8_000, 3, 31))).accepted);
  assert.ok(judged.accepted.every((id) => expected.has(id)));
  assert.ok(judged.accepted.length > expected.size * 0.9, `${judged.accepted.length} of ${expected.size} events`);
  const inbox = join(producerFolder(reading.lake_folder, make().id), "inbox");
  const before = await readdir(inbox);
  assert.ok(before.length >= 30, `${before.length} files`);
  const texts = (await textsIn(reading)).length;
  clock.jump_ms(HOUR_MS);
  const seconds = (clock.now_us() - now_us) / 1e6;
  await reading.run({ producer: make(), clock, for_s: seconds + 30 });
  const names = await readdir(inbox);
  assert.deepEqual(
    names.filter((name) => before.includes(name)),
    [],
  );
  assert.ok((await textsIn(reading)).length > texts, "the shop goes on");
  assert.ok(names.every((name) => !name.endsWith(".tmp")));
});

test("options out of range are rejected with a RangeError", () => {
  assert.throws(() => simulatedOrders({ orders_per_slot: 0 }), RangeError);
  assert.throws(() => simulatedOrders({ slot_ms: 1 }), RangeError);
  assert.throws(() => simulatedOrders({ rates: { ...DEFAULT_RATES, late: 2 } }), RangeError);
});
