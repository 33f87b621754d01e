import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { FileRecords } from "../../producers/files/source-record.ts";
import { DEFAULT_RATES, OrderStream, type Element } from "../../producers/orders/stream.ts";
import { truthOf } from "../../producers/orders/truth.ts";
import { uniform } from "../../producers/simulated/random.ts";
import { ecommerce } from "../../pipelines/ecommerce.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { coinlake } from "../support/coinlake.ts";
import { Lakes, type TestLake } from "./lake.ts";

const START_MS = Date.parse("2026-03-01T22:30:00Z");
const SLOT_MS = 60_000;
const SLOTS = 150;
const SLOTS_PER_FILE = 10;
const INCREMENTS = 4;

/** More errors than in operation, so that a small stream has all of them; version 2 begins in the middle. */
const stream = new OrderStream({
  seed: 7,
  start_ms: START_MS,
  slot_ms: SLOT_MS,
  orders_per_slot: 6,
  version_2_from_slot: SLOTS / 2,
  rates: { ...DEFAULT_RATES, invalid: 0.1, updated: 0.3, cancelled: 0.1, late: 0.05, duplicated: 0.1 },
});
const elements = Array.from({ length: SLOTS }, (_, slot) => stream.elements(slot)).flat();
const truth = truthOf(elements);

/** The records of one file, as the source packs them. */
function recordsOf(file: string, of_file: readonly Element[]): SourceRecord[] {
  const records = new FileRecords({ file, source: "orders" }, 0, () => (START_MS + SLOTS * SLOT_MS) * 1000);
  for (const { text } of of_file) {
    const bytes = Buffer.from(text);
    records.add({ bytes, size_bytes: bytes.length, reason: null });
  }
  records.end();
  return records.take().map(({ record }) => record);
}

const files = Array.from({ length: SLOTS / SLOTS_PER_FILE }, (_, file) =>
  recordsOf(
    `orders-${file}.jsonl`,
    Array.from({ length: SLOTS_PER_FILE }, (_slot, slot) => stream.elements(file * SLOTS_PER_FILE + slot)).flat(),
  ),
);

/** Of copies of one event the first in the log counts; where they are of two versions, only one of them has a channel. */
const TABLES = {
  "silver.orders_silver": "* exclude (channel)",
  "gold.fact_orders": "* exclude (channel)",
  "gold.sales_per_minute": "*",
  "gold.dim_customer": "*",
  "gold.dim_product": "*",
} as const;

async function contentOf(lake: TestLake): Promise<Record<string, (string | null)[][]>> {
  const content: Record<string, (string | null)[][]> = {};
  for (const [table, columns] of Object.entries(TABLES))
    content[table] = await lake.rows(`select ${columns} from ${table} order by all`);
  return content;
}

describe("the orders pipeline", () => {
  let lakes: Lakes;
  let in_order: Record<string, (string | null)[][]>;
  let shuffled: Record<string, (string | null)[][]>;
  let lake: TestLake;

  before(async () => {
    lakes = await Lakes.open({ pipeline: ecommerce });
    lake = await lakes.fresh();
    await lake.append(files.flat());
    await lake.ingest();
    await lake.catchUp();
    in_order = await contentOf(lake);
    lake = await lakes.fresh();
    const order = files.map((file, index) => ({ file, rank: uniform(3, 1, index, 0) })).sort((a, b) => a.rank - b.rank);
    const share = Math.ceil(order.length / INCREMENTS);
    for (let increment = 0; increment < INCREMENTS; increment += 1) {
      await lake.append(order.slice(increment * share, (increment + 1) * share).flatMap(({ file }) => file));
      await lake.ingest();
      await lake.catchUp();
    }
    shuffled = await contentOf(lake);
  });
  after(() => lakes?.close());

  test("gives the same tables for files in any order and in any number of increments", () => {
    for (const table of Object.keys(TABLES)) {
      assert.ok((in_order[table]?.length ?? 0) > 0, table);
      assert.deepEqual(shuffled[table], in_order[table], table);
    }
  });

  test("sells in each minute what an independent computation says, to the cent", async () => {
    const rows = await lake.rows(`
      select epoch_ms(minute_at), (sum(sales) * 100)::bigint from gold.sales_per_minute
      group by 1 having sum(sales) <> 0 order by 1`);
    const expected = [...truth.sales_per_minute]
      .filter(([, cents]) => cents !== 0n)
      .sort(([a], [b]) => a - b)
      .map(([minute_ms, cents]) => [String(minute_ms), String(cents)]);
    assert.deepEqual(rows, expected);
  });

  test("holds each order in its newest state", async () => {
    const rows = await lake.rows(
      "select order_id, store, is_cancelled::varchar, (total * 100)::bigint::varchar from silver.orders_silver order by 1",
    );
    const expected = [...truth.orders.values()]
      .map(({ kind, order }) => [order.id, order.store, String(kind === "order_cancelled"), String(order.total_cents)])
      .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
    assert.deepEqual(rows, expected);
  });

  test("accepts, repeats and rejects what an independent computation says, and reconciles", async () => {
    const reasons = await lake.rows(
      "select reason, count(*)::varchar from silver.orders_rejected group by 1 order by 1",
    );
    assert.deepEqual(reasons, [...truth.rejected].map(([reason, count]) => [reason as string, String(count)]).sort());
    const { accepted, duplicates } = await lake.reconcile();
    assert.deepEqual({ accepted, duplicates }, { accepted: truth.accepted.length, duplicates: truth.duplicates });
    const { nodes } = await lake.dbt("test", "--no-write-json");
    const failed = nodes.filter(({ status }) => status !== "pass" && status !== "success");
    assert.deepEqual(failed, []);
  });

  test("meets its expectations", async () => {
    const { code, stdout, stderr } = await coinlake(["quality", "--all", "--data", lake.data_folder]);
    assert.equal(code, 0, stdout + stderr);
  });
});
