import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ecommerce } from "../../pipelines/ecommerce.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";
import { ORDER_CASES } from "./bad-orders.ts";
import { Lakes, type TestLake } from "./lake.ts";
import { orderFiles, salesOfTruth, shuffledParts, singleRecords, truth } from "./order-stream.ts";

const INCREMENTS = 4;

/** The first of duplicates in the log is accepted; of two schema versions, only one has a channel. */
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
    await lake.append(orderFiles.flat());
    await lake.ingest();
    await lake.catchUp();
    in_order = await contentOf(lake);
    lake = await lakes.fresh();
    for (const part of shuffledParts(INCREMENTS)) {
      await lake.append(part);
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

  test("has the sales of each minute that an independent computation gives, to the cent", async () => {
    const rows = await lake.rows(`
      select epoch_ms(minute_at), (sum(sales) * 100)::bigint from gold.sales_per_minute
      group by 1 having sum(sales) <> 0 order by 1`);
    assert.deepEqual(rows, salesOfTruth());
  });

  test("holds the newest state of each order", async () => {
    const rows = await lake.rows(
      "select order_id, store, is_cancelled::varchar, (total * 100)::bigint::varchar " +
        "from silver.orders_silver order by 1",
    );
    const expected = [...truth.orders.values()]
      .map(({ kind, id, store, total_cents }) => [id, store, String(kind === "order_cancelled"), String(total_cents)])
      .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
    assert.deepEqual(rows, expected);
  });

  test("accepts, deduplicates and rejects the same events as an independent computation, and reconciles", async () => {
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

  test("verifies every file, also after a restore from a backup, and rejects a copied lake", async () => {
    const folder = temporaryFolder();
    const [backup, restored, copied] = ["backup", "restored", "copied"].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    const run = (data: string, ...args: string[]) => coinlakeByKind([...args, "--data", data]);
    const proof = await run(lake.data_folder, "verify", "--deep", "--json");
    assert.equal(proof.code, 0, proof.stdout + proof.stderr);
    for (const [data, ...args] of [
      [lake.data_folder, "backup", backup],
      [restored, "restore", backup],
    ] as const) {
      const { code, stderr } = await run(data, ...args);
      assert.equal(code, 0, stderr);
    }
    const again = await run(restored, "verify", "--deep", "--json");
    assert.equal(again.code, 0, again.stdout + again.stderr);
    const figures = (text: string): object => (JSON.parse(text) as { figures: object }).figures;
    assert.deepEqual(figures(again.stdout), figures(proof.stdout));
    cpSync(lake.data_folder, copied, { recursive: true });
    const moved = await run(copied, "verify");
    assert.equal(moved.code, 1);
    assert.match(moved.stderr, /LAKE_MOVED/);
    folder.remove();
  });

  test("gives odd and absurd events their own verdicts, and none of them stops the others", async () => {
    lake = await lakes.fresh();
    await lake.append(singleRecords(ORDER_CASES.map(({ payload }) => payload)));
    await lake.ingest();
    await lake.catchUp();
    const outcomes = await lake.rows(`
      select log_offset, reason from silver.orders_rejected
      union all select log_offset, total::varchar from silver.order_events
      union all select log_offset, 'duplicate' from silver.order_duplicates
      order by log_offset`);
    assert.deepEqual(
      outcomes.map(([offset, outcome]) => `${ORDER_CASES[Number(offset)]?.title} → ${outcome}`),
      ORDER_CASES.map(({ title, outcome }) => `${title} → ${outcome}`),
    );
    await lake.reconcile();
  });
});
