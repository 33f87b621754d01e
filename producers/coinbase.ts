import type { Producer } from "../src/producer/producer.ts";
import { exchange, type ExchangeOptions } from "./exchange/exchange.ts";
import {
  asObject,
  parseObject,
  tradeNumber,
  upperCase,
  type ExchangeProtocol,
  type ExchangeMessage,
  type PageRead,
} from "./exchange/protocol.ts";

const COINS = "BTC ETH SOL XRP DOGE ADA LINK AVAX SUI XLM LTC BCH DOT UNI AAVE NEAR SHIB HBAR ICP ATOM";

/**
 * Coinbase Exchange: channels matches and heartbeat (docs.cdp.coinbase.com, "Exchange WebSocket"). A heartbeat per
 * second and product contains the newest trade id, so a loss is visible even if no trade follows. One unknown product
 * makes Coinbase ignore the whole subscription, often without naming the product.
 */
export const coinbaseProtocol: ExchangeProtocol = {
  source: "coinbase",
  title: "Coinbase",
  ws_url: "wss://ws-feed.exchange.coinbase.com",
  rest_url: "https://api.exchange.coinbase.com",
  products: COINS.split(" ").map((coin) => `${coin}-USD`),
  product_pattern: /^[\p{Lu}\p{Lo}\p{N}]{1,30}-[\p{Lu}\p{Lo}\p{N}]{1,30}$/u,
  spell: upperCase,
  socketUrl: (ws_url) => ws_url,
  subscription: (products) =>
    JSON.stringify({ type: "subscribe", product_ids: products, channels: ["matches", "heartbeat"] }),
  read: readMessage,
  life_ms: null,
  silent_after_ms: 10_000,
  is_announcing: true,
  rest: {
    probe_path: "/time",
    backfill: "trades",
    page_size: 1000,
    /** Public limit: three requests per second. */
    interval_ms: 350,
    /** `after` means older: the newest trades with ids below it, newest first. */
    path: ({ product, first_id, last_id }) =>
      `/products/${encodeURIComponent(product)}/trades?limit=${last_id - first_id + 1}&after=${last_id + 1}`,
    read: readPage,
  },
};

export function coinbase(options: Partial<ExchangeOptions> = {}): Producer {
  return exchange(coinbaseProtocol, options);
}

function readMessage(message: string): ExchangeMessage {
  const whole = parseObject(message);
  const product = whole?.["product_id"];
  switch (whole?.["type"]) {
    case "match":
    case "last_match": {
      const id = tradeNumber(whole["trade_id"]);
      if (id === null || typeof product !== "string") return { kind: "unknown" };
      return { kind: "trades", trades: [{ product, id, cursor: null }] };
    }
    case "heartbeat": {
      // `last_trade_id` was 0 for months because of a fault of the source.
      const last_id = tradeNumber(whole["last_trade_id"]) ?? 0;
      return last_id > 0 && typeof product === "string" ? { kind: "announced", product, last_id } : { kind: "alive" };
    }
    case "subscriptions":
      return { kind: "subscribed", products: subscribedProducts(whole["channels"]) };
    case "error": {
      const { message: text, reason } = whole;
      return {
        kind: "rejected",
        products: null,
        reason: [text, reason].filter((part) => typeof part === "string").join(": "),
      };
    }
    default:
      return { kind: "unknown" };
  }
}

function subscribedProducts(channels: unknown): string[] {
  if (!Array.isArray(channels)) return [];
  return channels
    .map(asObject)
    .filter((channel) => channel?.["name"] === "matches")
    .flatMap((channel) => channel?.["product_ids"])
    .filter((product) => typeof product === "string");
}

function readPage(body: unknown): PageRead | null {
  if (!Array.isArray(body)) return null;
  return { ids: body.flatMap((trade) => tradeNumber(asObject(trade)?.["trade_id"]) ?? []), cursor: null };
}
