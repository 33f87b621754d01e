import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { runProducer } from "../../src/log/run-producer.ts";
import type { Producer, SourceReport } from "../../src/producer/producer.ts";
import type { ExchangeKind, KnownTrade } from "../producers/exchange-messages.ts";
import { EXCHANGES, FAST, until } from "../producers/exchange-run.ts";
import { ExchangeServer } from "../producers/exchange-server.ts";
import { Lakes, TOPIC, type TestLake } from "./lake.ts";

/** Digits that floating point would not preserve, with small and large sizes. */
const PRICES = [
  "0.000000012345678901",
  "104235.123456789012345678",
  "1.10",
  "0.30000000000000004",
  "99999999.999999999999999999",
];
const QUANTITIES = ["0.0012300", "123456789.00000001", "40.0"];

/** One exchange with a producer whose process crashes and restarts, over one log. */
class Market {
  readonly server: ExchangeServer;
  readonly #lake: TestLake;
  #producer: Producer | null = null;
  #life: { stop: AbortController; run: Promise<unknown> } | null = null;
  readonly #reports: SourceReport[] = [];

  constructor(server: ExchangeServer, lake: TestLake) {
    this.server = server;
    this.#lake = lake;
  }

  get products(): readonly string[] {
    return EXCHANGES[this.server.kind].products;
  }

  async live(): Promise<void> {
    const stop = new AbortController();
    this.#producer = EXCHANGES[this.server.kind].make({
      ws_url: this.server.ws_url,
      rest_url: this.server.rest_url,
      products: this.products,
      ...FAST,
    });
    const report = (said: SourceReport): void => void this.#reports.push(said);
    const run = runProducer({
      producer: this.#producer,
      log: this.#lake.open.log,
      topic: TOPIC,
      lake_folder: this.#lake.open.lake.folder,
      clock: systemClock,
      signal: stop.signal,
      report,
    });
    this.#life = { stop, run };
    await until(() => this.products.every((product) => this.server.isSubscribed(product)), "a subscription");
  }

  /** Discards the records that the process held and had not appended. */
  async die(): Promise<void> {
    this.#life?.stop.abort();
    await this.#life?.run;
    this.#life = null;
  }

  get missed(): { open: number; filled: number; lost: number } {
    return this.#producer?.status?.().missed ?? { open: 0, filled: 0, lost: 0 };
  }

  trade(number: number, is_delivered: boolean): void {
    const trade = this.server.make(this.products[number % 3] ?? "", {
      price: PRICES[number % 5] ?? "1",
      quantity: QUANTITIES[number % 3] ?? "1",
    });
    if (is_delivered) this.server.deliver(trade);
  }
}

describe("trades of three exchanges whose connections fail", () => {
  let lakes: Lakes;
  let lake: TestLake;
  const markets: Market[] = [];

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    for (const kind of Object.keys(EXCHANGES) as ExchangeKind[])
      markets.push(new Market(await ExchangeServer.start(kind, { heartbeat_ms: 20 }), lake));
  });
  after(async () => {
    for (const market of markets) {
      await market.die();
      await market.server.stop();
    }
    await lakes.close();
  });

  test("are in silver once each, with exact values, whether received as messages or in backfill pages", async () => {
    for (const market of markets) {
      await market.live();
      for (let number = 0; number < 6; number += 1) market.trade(number, true);
    }
    for (let number = 6; number < 600; number += 1) {
      for (const market of markets) {
        market.trade(number, number % 13 > 2);
        if (number === 150) market.server.cut();
        if (number === 300) await market.server.kill();
        if (number === 320) await market.server.listen();
        if (number === 400) await market.die();
        if (number === 450) await market.live();
      }
      if (number % 10 === 0) await wait(5);
    }
    for (const market of markets) {
      await until(() => market.products.every((product) => market.server.isSubscribed(product)), "a subscription");
      for (let number = 0; number < 3; number += 1) market.trade(number, true);
    }
    await wait(FAST.gaps.settle_ms * 2);
    for (const market of markets) await until(() => market.missed.open === 0, `${market.server.kind} misses nothing`);
    for (const market of markets) {
      assert.equal(market.missed.lost, 0);
      await market.die();
    }

    await lake.ingest();
    await lake.catchUp();
    const rows = await lake.rows(`
      select source, product, trade_number::varchar, price::varchar, traded_volume::varchar, epoch_us(price_at)::varchar
      from silver.crypto_price_updates order by source, product, trade_number`);
    const expected = markets.flatMap(({ server }) =>
      [...server.trades.values()].flat().map((trade) => asRow(server.kind, trade)),
    );
    const inOrder = (a: string[], b: string[]): number =>
      a.slice(0, 2).join().localeCompare(b.slice(0, 2).join()) || Number(a[2]) - Number(b[2]);
    assert.deepEqual(rows.map((row) => row.map(String)).sort(inOrder), expected.sort(inOrder));
    const { rejected } = await lake.reconcile();
    assert.equal(rejected, 0);
    const gaps_by_source = await lake.rows(
      "select source, count(distinct log_offset) from silver.crypto_price_updates " +
        "where is_backfill group by all order by all",
    );
    assert.deepEqual(
      gaps_by_source.map(([source]) => source),
      ["binance", "coinbase", "kraken"],
      "pages were among them",
    );
  });
});

/**
 * The row as silver stores it: eighteen decimals of a price, eight of a quantity, and Binance's times in milliseconds.
 */
function asRow(kind: ExchangeKind, { product, id, price, quantity, at_us }: KnownTrade): string[] {
  const told_us = kind === "binance" ? Math.floor(at_us / 1000) * 1000 : at_us;
  return [kind, product, String(id), decimal(price, 24), decimal(quantity, 8), String(told_us)];
}

function decimal(text: string, scale: number): string {
  const [whole = "", decimals = ""] = text.split(".");
  return `${whole}.${decimals.padEnd(scale, "0")}`;
}
