import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { systemClock } from "../../src/base/clock.ts";
import { LiveLake } from "../../src/live/live-lake.ts";
import { ask } from "../../src/query/ask.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { prepareModels, type LiveModels } from "../../src/transform/models.ts";
import { Lakes, type TestLake } from "./lake.ts";

const MOMENT = "2026-04-07T12:30:04.500000Z";
const MOMENT_MS = Date.parse(MOMENT);

function record(source: string, seconds_later: number, payload: object): SourceRecord {
  const ingested_at_us = (MOMENT_MS + seconds_later * 1_000) * 1_000;
  return { key: source, source, payload: Buffer.from(JSON.stringify(payload)), ingested_at_us };
}

const match = (trade_id: number | string, price: string) => ({ trade_id, side: "buy", size: "2", price, time: MOMENT });
const aggregate = (a: number, p: string, f = a) => ({ a, p, q: "10", f, l: f, T: MOMENT_MS, m: true, M: true });
function trade(trade_id: number, price: number, symbol = "ETH/USD") {
  return { symbol, side: "buy", price, qty: 0.1, ord_type: "market", trade_id, timestamp: MOMENT };
}

/**
 * Trades of equal time: a page with the newest first, a gap filled after a later trade, a message with the newest
 * first.
 */
const TRADES: readonly SourceRecord[] = [
  record("coinbase", 1, {
    product: "DOT-USD",
    backfill: "trades",
    body: [match(9003, "7.30"), match(9002, "7.20"), match(9001, "7.10")],
  }),
  record("binance", 2, { e: "aggTrade", E: MOMENT_MS, s: "ADAUSDT", ...aggregate(303, "0.90") }),
  record("binance", 3, {
    product: "ADAUSDT",
    backfill: "aggTrades",
    body: [aggregate(301, "0.70"), aggregate(302, "0.80")],
  }),
  record("kraken", 4, { channel: "trade", type: "update", data: [trade(52, 3003), trade(51, 3001)] }),
  // Trade numbers that no double distinguishes, and whose text order is reversed.
  record("coinbase", 5, { type: "match", product_id: "SOL-USD", ...match("10000000000000000", "103") }),
  record("coinbase", 6, { type: "match", product_id: "SOL-USD", ...match("9999999999999999", "101") }),
  // Two exchanges and two products: order by source, then by product.
  record("kraken", 7, { channel: "trade", type: "update", data: [trade(1, 70_002, "BTC/USD")] }),
  record("coinbase", 8, { type: "match", product_id: "BTC-USDT", ...match(5, "70001") }),
  record("coinbase", 9, { type: "match", product_id: "BTC-USD", ...match(6, "70000") }),
];

/** Open and close of each coin, for every interval. */
const CANDLES: readonly (readonly [coin: string, open: string, close: string])[] = [
  ["bitcoin", "70000", "70002"],
  ["cardano", "0.7", "0.9"],
  ["ethereum", "3001", "3003"],
  ["polkadot", "7.1", "7.3"],
  ["solana", "101", "103"],
];

/** DuckDB prints a DECIMAL(38, 18) with all its digits. */
const plain = (price: string | null | undefined) => (price ?? "").replace(/\.?0+$/, "");

describe("trades with equal times", () => {
  let lakes: Lakes;
  before(async () => {
    lakes = await Lakes.open();
  });
  after(() => lakes.close());

  function assertCandles(rows: readonly (readonly (string | null)[])[], what: string): void {
    assert.deepEqual(
      rows.map(([coin, open, close]) => [coin, plain(open), plain(close)]),
      CANDLES,
      what,
    );
  }

  async function prepared(lake: TestLake): Promise<LiveModels> {
    return prepareModels({ run: (args) => lake.dbt(...args) }, crypto.transform.project, lake.data_folder);
  }

  test("open and close candles by source, product and number, in live views, increments and full refresh", async () => {
    const lake = await lakes.fresh();
    const tail = await LiveLake.open({
      open: lake.open,
      pipeline: crypto,
      models: await prepared(lake),
      clock: systemClock,
    });
    const hours = "select crypto_id, open, close from gold.fact_crypto_hourly order by 1";
    const minutes = "select crypto_id, price_first, price from silver.crypto_prices_clean order by 1";
    const inView = (sql: string) => sql.replace(/gold|silver/, "live");
    try {
      // Every second trade first: the trades of the next increment change opens and closes that the tables already
      // have.
      for (const kept of [1, 0]) {
        await lake.append(TRADES.filter((_, index) => index % 2 === kept));
        await tail.catchUp();
        if (kept === 1) await lake.ingest();
        if (kept === 1) await lake.catchUp();
      }
      for (const sql of [hours, minutes]) assertCandles((await tail.query(inView(sql))).rows, inView(sql));
      for (const [coin, , close] of CANDLES)
        assert.equal(await priceNow(lake, 1, coin, tail), close, `live: now, of ${coin}`);
      await lake.ingest();
      await lake.catchUp();
      for (const sql of [hours, minutes]) assertCandles(await lake.rows(sql), sql);
      for (const number of [1, 3]) {
        for (const [coin, , close] of CANDLES)
          assert.equal(await priceNow(lake, number, coin, null), close, `${number}: ${coin}`);
      }
      await lake.increment({}, "--full-refresh");
      for (const sql of [hours, minutes]) assertCandles(await lake.rows(sql), `refreshed: ${sql}`);
    } finally {
      tail.close();
    }
  });

  /** Two hours later for question 3, which compares with two hours before. */
  async function priceNow(lake: TestLake, number: number, coin: string, tail: LiveLake | null): Promise<string> {
    const question = crypto.questions.find((one) => one.number === number) ?? assert.fail();
    const as_of = new Date(MOMENT_MS + (number === 3 ? 2 * 3_600_000 : 0)).toISOString();
    const live = tail === null ? {} : { live: { query: (sql: string) => tail.query(sql), snapshots: () => [] } };
    const answer = await ask(lake.session, crypto, question, { as_of, values: { coin }, ...live });
    // Question 3 also queries a past lake time, and leaves the session there.
    await lake.session.travelTo(null);
    const { columns, rows } = answer.parts[0]?.result ?? assert.fail();
    return plain(rows[0]?.[columns.findIndex(({ name }) => name === "price_usd")]);
  }

  test("fall if the lower price is last, count reused ids twice, and conflict on two prices of a trade", async () => {
    const lake = await lakes.fresh();
    const avax = { e: "aggTrade", E: MOMENT_MS, s: "AVAXUSDT" };
    const page = (product: string, ...trades: object[]) =>
      record("coinbase", 1, { product, backfill: "trades", body: trades });
    await lake.append([
      page("LTC-USD", match(2, "100"), match(1, "90")),
      page("ADA-USD", match(2, "90"), match(1, "100")),
      record("binance", 1, { ...avax, ...aggregate(500, "20", 900) }),
      record("binance", 2, { ...avax, ...aggregate(500, "21", 901) }),
      record("binance", 3, {
        product: "AVAXUSDT",
        backfill: "aggTrades",
        body: [aggregate(500, "20", 900), aggregate(500, "21", 901)],
      }),
      record("coinbase", 4, { type: "match", product_id: "DOT-USD", ...match(7, "7.10") }),
    ]);
    await lake.ingest();
    await lake.catchUp();
    // In a later increment: a copy of an event that the table has, and two copies in one record.
    await lake.append([
      record("coinbase", 5, { type: "match", product_id: "DOT-USD", ...match(7, "7.1000") }),
      record("coinbase", 6, {
        product: "DOT-USD",
        backfill: "trades",
        body: [match(8, "7.3"), match(8, "7.4"), match(7, "7.2")],
      }),
    ]);
    await lake.ingest();
    await lake.catchUp();
    const falls = crypto.questions.find(({ number }) => number === 4) ?? assert.fail();
    const { parts } = await ask(lake.session, crypto, falls, { as_of: MOMENT, values: {} });
    assert.deepEqual(
      parts[0]?.result.rows.map(([coin]) => coin),
      ["cardano"],
    );
    const prices = await lake.rows(`
      select crypto_id, price::double::varchar from silver.crypto_price_updates where price < 90 order by 1, price`);
    assert.deepEqual(prices, [
      ["avalanche-2", "20.0"],
      ["avalanche-2", "21.0"],
      ["polkadot", "7.1"],
      ["polkadot", "7.3"],
    ]);
    const copies = await lake.rows(`
      select price::double::varchar, is_conflicting::varchar from silver.crypto_price_duplicates
      order by log_offset, element_index`);
    assert.deepEqual(copies, [
      ["20.0", "false"],
      ["21.0", "false"],
      ["7.1", "false"],
      ["7.4", "true"],
      ["7.2", "true"],
    ]);
    const { duplicates, conflicting } = await lake.reconcile();
    assert.deepEqual({ duplicates, conflicting }, { duplicates: 5, conflicting: 2 });
  });

  test("stored by older versions without a first trade id are duplicates if repeated, in tail and tables", async () => {
    const lake = await lakes.fresh();
    const message = (a: number, p: string, f = a) =>
      record("binance", 1, { e: "aggTrade", E: MOMENT_MS, s: "ADAUSDT", ...aggregate(a, p, f) });
    await lake.append([message(301, "0.7", 900), message(302, "0.8", 901)]);
    await lake.ingest();
    await lake.catchUp();
    await lake.change(
      "update lake.silver.crypto_price_updates set identity = regexp_replace(identity, ':[0-9]+$', '')",
    );
    const tail = await LiveLake.open({
      open: lake.open,
      pipeline: crypto,
      models: await prepared(lake),
      clock: systemClock,
    });
    const kept = "select identity, count(*)::varchar from silver.crypto_price_updates group by all order by 1";
    const known = [
      ["binance:ADAUSDT:301", "1"],
      ["binance:ADAUSDT:302", "1"],
    ];
    const copies = "select identity, is_conflicting::varchar from silver.crypto_price_duplicates order by log_offset";
    const inView = (sql: string) => sql.replace("silver", "live");
    try {
      assert.deepEqual(await lake.rows(kept), known);
      await lake.append([message(301, "0.7", 900), message(303, "0.9", 902), message(301, "0.70", 900)]);
      await tail.catchUp();
      await lake.append([message(302, "0.81", 901)]);
      await tail.catchUp();
      const all = [...known, ["binance:ADAUSDT:303:902", "1"]];
      const repeated = [
        ["binance:ADAUSDT:301", "false"],
        ["binance:ADAUSDT:301", "false"],
        ["binance:ADAUSDT:302", "true"],
      ];
      assert.deepEqual(
        (await tail.query(inView(kept))).rows.map((row) => row.map(String)),
        all,
      );
      assert.deepEqual(
        (await tail.query(inView(copies))).rows.map((row) => row.map(String)),
        repeated,
      );
      await lake.ingest();
      await lake.catchUp();
      assert.deepEqual(await lake.rows(kept), all);
      assert.deepEqual(await lake.rows(copies), repeated);
    } finally {
      tail.close();
    }
  });
});
