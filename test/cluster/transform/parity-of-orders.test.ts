import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ecommerce } from "../../../pipelines/ecommerce.ts";
import type { SourceRecord } from "../../../src/producer/producer.ts";
import { ORDER_CASES } from "../../dbt/bad-orders.ts";
import { salesOfTruth, shuffledParts, singleRecords, truth } from "../../dbt/order-stream.ts";
import { Servers } from "../servers.ts";
import { TwoLakes } from "./two-lakes.ts";

let servers: Servers;
let lakes: TwoLakes;
before(async () => {
  servers = await Servers.start("kafka", "spark");
  lakes = await TwoLakes.open(servers.environment, { pipeline: ecommerce });
});
after(async () => {
  await lakes?.close();
  await servers?.leave();
});

async function increment(records: readonly SourceRecord[]): Promise<void> {
  await lakes.append(records);
  await lakes.embedded.catchUp();
  await lakes.transform().catchUp();
}

test("increments of files in any order give the same tables on Spark as in the embedded lake", async () => {
  for (const part of shuffledParts(2)) await increment(part);
  await lakes.assertSame();
});

test("the sales per minute on Spark equal an independent computation to the cent", async () => {
  const rows = await lakes.streams.session.sql(`
    select cast(unix_millis(minute_at) as string) as minute_ms,
      cast(cast(sum(sales) * 100 as bigint) as string) as cents
    from gold.sales_per_minute group by minute_at having sum(sales) <> 0 order by minute_at`);
  assert.deepEqual(
    rows.map(({ minute_ms, cents }) => [minute_ms, cents]),
    salesOfTruth(),
  );
  const [counts] = await lakes.streams.session.sql(`
    select
      cast((select count(*) from silver.order_events) as int) as accepted,
      cast((select count(*) from silver.order_duplicates) as int) as duplicates,
      cast((select count(*) from silver.orders_silver) as int) as orders`);
  assert.deepEqual(counts, {
    accepted: truth.accepted.length,
    duplicates: truth.duplicates,
    orders: truth.orders.size,
  });
});

test("odd and absurd events get the same verdicts on Spark as in the embedded lake", async () => {
  await increment(singleRecords(ORDER_CASES.map(({ payload }) => payload)));
  await lakes.assertSame();
});

test("a full refresh on Spark changes nothing", async () => {
  const { nodes, is_success } = await lakes.dbt("run", "--full-refresh", "--no-write-json");
  assert.ok(is_success, JSON.stringify(nodes.filter(({ status }) => status === "error")));
  await lakes.assertSame();
});

test("every test of the project passes on Spark", async () => {
  const { nodes } = await lakes.transform().test();
  assert.ok(nodes.length > 30);
  assert.deepEqual(
    nodes
      .filter(({ status }) => status === "fail" || status === "error")
      .map(({ name, message }) => `${name}: ${message}`),
    [],
  );
});
