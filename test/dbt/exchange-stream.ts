import { uniform } from "../../producers/simulated/random.ts";
import { isoFromMicros } from "../../src/base/clock.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";

const SECOND_US = 1_000_000;
const DRAW = { gap: 201, price: 202, missed: 203, asked: 204 } as const;

interface Trade {
  number: number;
  price: string;
  amount: string;
  at_us: number;
}

interface Feed {
  source: string;
  product: string;
  count: number;
  /** The feed's messages for trades of one moment: one or several. */
  messages(product: string, trades: readonly Trade[]): string[];
  route: string;
  body(trades: readonly Trade[]): string;
}

const COINBASE = {
  source: "coinbase",
  route: "trades",
  messages: (product: string, trades: readonly Trade[]) =>
    trades.map(
      ({ number, price, amount, at_us }) =>
        `{"type":"match","trade_id":${number},"side":"buy","size":"${amount}","price":"${price}",` +
        `"product_id":"${product}","time":"${isoFromMicros(at_us)}"}`,
    ),
  body: (trades: readonly Trade[]) =>
    `[${trades
      .toReversed()
      .map(
        ({ number, price, amount, at_us }) =>
          `{"time":"${isoFromMicros(at_us)}","trade_id":${number},"price":"${price}","size":"${amount}","side":"buy"}`,
      )
      .join(",")}]`,
};

const KRAKEN = {
  source: "kraken",
  route: "Trades",
  messages: (product: string, trades: readonly Trade[]) => [
    `{"channel":"trade","type":"update","data":[${trades
      .toReversed()
      .map(
        ({ number, price, amount, at_us }) =>
          `{"symbol":"${product}","side":"buy","price":${price},"qty":${amount},"ord_type":"limit",` +
          `"trade_id":${number},"timestamp":"${isoFromMicros(at_us)}"}`,
      )
      .join(",")}]}`,
  ],
  body: (trades: readonly Trade[]) =>
    `{"error":[],"result":{"PAIR":[${trades
      .map(
        ({ number, price, amount, at_us }) =>
          `["${price}","${amount}",${Math.floor(at_us / SECOND_US)}.` +
          `${String(at_us % SECOND_US).padStart(6, "0")},"b","l","",${number}]`,
      )
      .join(",")}],"last":"0"}}`,
};

const BINANCE = {
  source: "binance",
  route: "aggTrades",
  messages: (product: string, trades: readonly Trade[]) =>
    trades.map(
      ({ number, price, amount, at_us }) =>
        `{"stream":"${product.toLowerCase()}@aggTrade","data":{"e":"aggTrade","E":1,"s":"${product}",` +
        `"a":${number},"p":"${price}","q":"${amount}",` +
        `"f":${2 * number},"l":${2 * number + 1},"T":${at_us / 1000},"m":true}}`,
    ),
  body: (trades: readonly Trade[]) =>
    `[${trades
      .map(
        ({ number, price, amount, at_us }) =>
          `{"a":${number},"p":"${price}","q":"${amount}",` +
          `"f":${2 * number},"l":${2 * number + 1},"T":${at_us / 1000},"m":true}`,
      )
      .join(",")}]`,
};

/**
 * Products of one coin on several exchanges, with shared trade numbers; one coin identified only by its product; one
 * product that is not quoted in dollars.
 */
const FEEDS: readonly Feed[] = [
  { ...COINBASE, product: "BTC-USD", count: 90 },
  { ...COINBASE, product: "BTC-USDT", count: 40 },
  { ...KRAKEN, product: "BTC/USD", count: 60 },
  { ...KRAKEN, product: "ETH/BTC", count: 30 },
  { ...BINANCE, product: "LTCUSDT", count: 60 },
  { ...BINANCE, product: "NEWUSDT", count: 20 },
];

/** Grid of trade times in seconds: many trades have equal times, within one feed and between feeds. */
const GRID_S = 30;

/**
 * Messages of the exchanges' feeds from `start_us`, with gaps that are filled up to hours later. An envelope has the
 * missing trades and, because routes answer in pages, some trades that were not missing. Pages and messages of several
 * trades have the newest first if the exchange's do.
 */
export function exchangeTrades(seed: number, start_us: number): SourceRecord[] {
  return FEEDS.flatMap((feed, index) => {
    const records: SourceRecord[] = [];
    const record = (payload: string, ingested_at_us: number) =>
      records.push({ key: feed.product, source: feed.source, payload: Buffer.from(payload), ingested_at_us });
    const trades = tradesOf(feed, seed + index, start_us);
    for (let from = 0, part = 0; from < trades.length; part += 1) {
      const together = trades.slice(from, from + 1 + (part % 3));
      from += together.length;
      const last_us = together.at(-1)?.at_us ?? start_us;
      if (uniform(seed + index, DRAW.missed, part) >= 0.15) {
        for (const message of feed.messages(feed.product, together)) record(message, last_us + 200_000 + part);
        continue;
      }
      const asked_at_us =
        last_us + Math.floor(uniform(seed + index, DRAW.asked, part) * 3 * 3_600) * SECOND_US + 77 + part;
      const page = trades
        .slice(Math.max(0, from - together.length - 2), from + 1)
        .filter(({ at_us }) => at_us < asked_at_us);
      record(`{"product":"${feed.product}","backfill":"${feed.route}","body":${feed.body(page)}}`, asked_at_us);
    }
    return records;
  });
}

function tradesOf(feed: Feed, seed: number, start_us: number): Trade[] {
  let at_us = start_us;
  return Array.from({ length: feed.count }, (_, index) => {
    at_us += Math.floor(uniform(seed, DRAW.gap, index) * 10) * GRID_S * SECOND_US;
    const price = (90 + uniform(seed, DRAW.price, index) * 20).toFixed(6);
    return { number: 95 + index, price, amount: uniform(seed, DRAW.price, index, 1).toFixed(8), at_us };
  });
}
