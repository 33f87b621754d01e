import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { openAlertBook } from "../../src/alert/open.ts";
import { warnOfSilentRules } from "../../src/cli/silent-rules.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { Lakes, type TestLake } from "./lake.ts";
import { copyDbtProject } from "./project-copy.ts";

const START_MS = Date.parse("2026-03-01T12:00:00Z");
const PRODUCTS = "silver.crypto_products";
const UNMAPPED =
  "select source, product, count(*) from silver.crypto_price_updates " +
  "where is_mapped = false group by all order by all";

/** A trade of ten units at a price of two, at the given second. */
function match(second: number, product: string, source = "coinbase"): SourceRecord {
  const at_ms = START_MS + second * 1000;
  const trade = {
    type: "match",
    trade_id: second,
    product_id: product,
    price: "2",
    size: "10",
    time: new Date(at_ms).toISOString(),
  };
  return { key: product, source, payload: Buffer.from(JSON.stringify(trade)), ingested_at_us: at_ms * 1000 };
}

function page(second: number, id = "bitcoin"): SourceRecord {
  const at_ms = START_MS + second * 1000;
  const coin = {
    id,
    symbol: "btc",
    name: "Bitcoin",
    market_cap_rank: 1,
    current_price: 2,
    last_updated: new Date(at_ms).toISOString(),
  };
  return {
    key: "page",
    source: "coingecko",
    payload: Buffer.from(JSON.stringify([coin])),
    ingested_at_us: at_ms * 1000,
  };
}

describe("the mapping of products to coins", () => {
  const folder = temporaryFolder();
  const project = join(folder.path, crypto.transform.project);
  const file = join(project, "seeds", "crypto_products.csv");
  let lakes: Lakes;
  let lake: TestLake;

  before(async () => {
    copyDbtProject(folder.path);
    lakes = await Lakes.open({ project });
    lake = await lakes.fresh();
  });
  after(async () => {
    await lakes.close();
    folder.remove();
  });

  async function arrive(...records: SourceRecord[]): Promise<void> {
    await lake.append(records);
    await lake.ingest();
    await lake.increment();
  }

  async function snapshots(): Promise<number> {
    const { metadata } = await lake.open.catalog.loadTable({ namespace: ["silver"], name: "crypto_products" });
    return metadata["snapshot-log"].length;
  }

  test("is loaded before the first record is read, and gives the prices of its products to their coins", async () => {
    await arrive(
      page(0),
      match(1, "BTC-USD"),
      match(2, "BTC-USDT"),
      match(3, "NEW-USD"),
      match(4, "ETH-BTC"),
      match(5, "BTC-USD", "elsewhere"),
    );
    const rows = await lake.rows(
      "select source, product, crypto_id, symbol, is_mapped::varchar, (traded_volume_usd::integer)::varchar " +
        "from silver.crypto_price_updates order by price_at",
    );
    assert.deepEqual(rows, [
      ["coingecko", null, "bitcoin", "BTC", null, null],
      ["coinbase", "BTC-USD", "bitcoin", "BTC", "true", "20"],
      ["coinbase", "BTC-USDT", "bitcoin", "BTC", "true", "20"],
      ["coinbase", "NEW-USD", "coinbase:NEW-USD", "NEW-USD", "false", null],
      ["coinbase", "ETH-BTC", "coinbase:ETH-BTC", "ETH-BTC", "false", null],
      ["elsewhere", "BTC-USD", "elsewhere:BTC-USD", "BTC-USD", null, "20"],
    ]);
    assert.equal(
      (await lake.rows(`from ${PRODUCTS}`)).length,
      readFileSync(file, "utf8").trimEnd().split("\n").length - 1,
    );
    assert.deepEqual(await lake.rows(UNMAPPED), [
      ["coinbase", "ETH-BTC", "1"],
      ["coinbase", "NEW-USD", "1"],
    ]);
    await lake.reconcile();
  });

  test("keeps a product without a coin apart from a page's coin of the same name, in every table", async () => {
    await arrive(page(6, "Eth-BTC"), match(7, "ETH-BTC"));
    const ids = ["coinbase:ETH-BTC", "eth-btc"];
    for (const table of [
      "silver.crypto_price_updates",
      "silver.crypto_prices_clean",
      "silver.crypto_listings",
      "gold.fact_crypto_ticks",
      "gold.fact_crypto_hourly",
      "gold.dim_crypto",
    ]) {
      assert.deepEqual(
        await lake.rows(`select distinct crypto_id from ${table} where lower(crypto_id) like '%eth-btc' order by 1`),
        ids.map((id) => [id]),
        table,
      );
    }
    assert.deepEqual(
      await lake.rows("select symbol, name from gold.dim_crypto where is_current and crypto_id = 'coinbase:ETH-BTC'"),
      [["ETH-BTC", "ETH-BTC on coinbase"]],
    );
  });

  test("commits nothing while its file is unchanged", async () => {
    const count = await snapshots();
    await arrive(match(10, "BTC-USD"));
    assert.equal(await snapshots(), count);
  });

  test("applies to records that are read after its file changed, in one commit, without a restart of dbt", async () => {
    const count = await snapshots();
    appendFileSync(file, "coinbase,NEW-USD,newcoin,NEW,USD\n");
    await arrive(match(20, "NEW-USD"));
    assert.equal(await snapshots(), count + 1);
    const rows = await lake.rows(
      "select crypto_id, is_mapped::varchar from silver.crypto_price_updates " +
        "where product = 'NEW-USD' order by price_at",
    );
    assert.deepEqual(rows, [
      ["coinbase:NEW-USD", "false"],
      ["newcoin", "true"],
    ]);
    assert.deepEqual(await lake.rows("select symbol, name from gold.dim_crypto where crypto_id = 'newcoin'"), [
      ["NEW", "NEWCOIN"],
    ]);
    await lake.reconcile();
  });

  test("reports a rule about an unknown coin id at the start, with the command that corrects it", async () => {
    const book = await openAlertBook(lake.open.lake.folder, crypto, systemClock);
    await book.createRule({
      name: "Typed",
      subjects: ["BTC", "newcoin"],
      condition: { kind: "crosses", direction: "above", level: "1" },
    });
    await book.close();
    const warnings: string[] = [];
    await warnOfSilentRules(lake.open, crypto, (text) => warnings.push(text));
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? "",
      /^the rule typed cannot fire for BTC: no coin .* rules edit typed '\{"subjects":\["BTC"/,
    );
  });

  test("applies to all records after a full refresh", async () => {
    await lake.increment({}, "--full-refresh");
    assert.deepEqual(
      await lake.rows("select distinct crypto_id from silver.crypto_price_updates where product = 'NEW-USD'"),
      [["newcoin"]],
    );
    assert.deepEqual(await lake.rows(UNMAPPED), [["coinbase", "ETH-BTC", "2"]]);
    await lake.reconcile();
  });

  test("keeps its rows if its new file cannot be read", async () => {
    const before_text = readFileSync(file, "utf8");
    const rows = await lake.rows(`from ${PRODUCTS} order by all`);
    writeFileSync(file, before_text.replace("source,product,crypto_id", "source,product,coin"));
    await assert.rejects(arrive(match(30, "BTC-USD")), /crypto_id/);
    assert.deepEqual(await lake.rows(`from ${PRODUCTS} order by all`), rows);
    writeFileSync(file, before_text);
    await lake.catchUp();
    await lake.reconcile();
  });
});
