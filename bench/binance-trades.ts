import type { Log } from "../src/log/log.ts";
import type { SourceRecord } from "../src/producer/producer.ts";
import { crypto } from "../pipelines/crypto.ts";

/** The time of the first trade. */
export const START_MS = Date.UTC(2026, 0, 5, 1, 0);
/** The coins that trade in turn. */
const COINS = [
  "BTC",
  "ETH",
  "XRP",
  "BNB",
  "SOL",
  "DOGE",
  "ADA",
  "TRX",
  "LINK",
  "AVAX",
  "XLM",
  "SUI",
  "BCH",
  "HBAR",
  "LTC",
  "SHIB",
  "DOT",
  "UNI",
  "PEPE",
  "AAVE",
];
/** Records of one append to the log. */
const APPEND_RECORDS = 4_096;

/** One trade as Binance's combined stream sends it: number `n` of all, at the given time. */
export function trade(n: number, at_ms: number): SourceRecord {
  const coin = COINS[n % COINS.length] ?? "";
  const product = `${coin}USDT`;
  const price = (100 + (n % 997) / 100).toFixed(8);
  const data =
    `"e":"aggTrade","E":${at_ms},"s":"${product}","a":${Math.floor(n / COINS.length)},` +
    `"p":"${price}","q":"0.50000000","f":${n},"l":${n},"T":${at_ms},"m":true,"M":true`;
  const payload = Buffer.from(`{"stream":"${product.toLowerCase()}@aggTrade","data":{${data}}}`);
  return { key: product, source: "binance", payload, ingested_at_us: at_ms * 1000 };
}

/** Consecutive trades, spread evenly over a span of time. */
export interface TradeRange {
  first: number;
  count: number;
  from_ms: number;
  span_ms: number;
}

/** Appends the trades to the pipeline's topic. */
export async function appendTrades(log: Log, { first, count, from_ms, span_ms }: TradeRange): Promise<void> {
  for (let begin = 0; begin < count; begin += APPEND_RECORDS) {
    const size = Math.min(APPEND_RECORDS, count - begin);
    const at_ms = (index: number): number => from_ms + Math.floor(((begin + index) * span_ms) / count);
    await log.append(
      crypto.topic.name,
      Array.from({ length: size }, (_, index) => trade(first + begin + index, at_ms(index))),
    );
  }
}
