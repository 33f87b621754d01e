import { microsFromIso } from "../src/base/instant.ts";
import type { Producer } from "../src/producer/producer.ts";
import { exchange, type ExchangeOptions } from "./exchange/exchange.ts";
import {
  asObject,
  parseObject,
  tradeNumber,
  type ExchangeProtocol,
  type ExchangeMessage,
  type PageRead,
  type TradeReference,
} from "./exchange/protocol.ts";

const COINS = "BTC ETH SOL XRP DOGE ADA TRX LINK AVAX SUI XLM LTC BCH DOT UNI AAVE NEAR SHIB ATOM XMR";

/** Kraken's REST interface uses older names for two coins. */
const REST_NAMES: Readonly<Record<string, string>> = { BTC: "XBT", DOGE: "XDG" };

/**
 * Kraken v2: channel trade (docs.kraken.com, "Spot WebSocket v2"), several trades per message. Kraken answers every
 * product of a subscription separately and sends a heartbeat in every second without another message. REST pages by
 * time, not by id.
 */
export const krakenProtocol: ExchangeProtocol = {
  source: "kraken",
  title: "Kraken",
  ws_url: "wss://ws.kraken.com/v2",
  rest_url: "https://api.kraken.com",
  products: COINS.split(" ").map((coin) => `${coin}/USD`),
  /** Products are case-sensitive: AAPLx is a tokenised share. */
  product_pattern: /^[\p{L}\p{N}.]{1,30}\/[\p{L}\p{N}.]{1,30}$/u,
  spell: (product) => product,
  socketUrl: (ws_url) => ws_url,
  // No snapshot: its fifty past trades would be duplicates or late events.
  subscription: (products) =>
    JSON.stringify({ method: "subscribe", params: { channel: "trade", symbol: products, snapshot: false } }),
  read: readMessage,
  life_ms: null,
  silent_after_ms: 10_000,
  is_announcing: false,
  rest: {
    probe_path: "/0/public/Time",
    backfill: "Trades",
    page_size: 1000,
    /** Public limit: one request per second. */
    interval_ms: 1_100,
    path: ({ product, cursor }) => {
      const since = cursor === null ? "" : `&since=${cursor}`;
      return `/0/public/Trades?pair=${encodeURIComponent(restName(product))}&count=1000${assetClass(product)}${since}`;
    },
    read: readPage,
  },
};

export function kraken(options: Partial<ExchangeOptions> = {}): Producer {
  return exchange(krakenProtocol, options);
}

function restName(product: string): string {
  return product
    .split("/")
    .map((asset) => REST_NAMES[asset] ?? asset)
    .join("");
}

/** REST finds tokenised shares (AAPLx) only if the request names their class; the stream does not need it. */
function assetClass(product: string): string {
  return /^[A-Z0-9.]+x\//.test(product) ? "&asset_class=tokenized_asset" : "";
}

function readMessage(message: string): ExchangeMessage {
  const whole = parseObject(message);
  if (whole === null) return { kind: "unknown" };
  const { channel, method } = whole;
  if (channel === "trade") return readTrades(whole["data"]);
  if (channel === "heartbeat" || channel === "status" || method === "pong") return { kind: "alive" };
  if (method === "subscribe" || method === "error") return readAnswer(whole);
  return { kind: "unknown" };
}

function readTrades(data: unknown): ExchangeMessage {
  const trades = (Array.isArray(data) ? data : []).flatMap((trade): TradeReference[] => {
    const { symbol, trade_id, timestamp } = asObject(trade) ?? {};
    const id = tradeNumber(trade_id);
    return typeof symbol === "string" && id !== null ? [{ product: symbol, id, cursor: cursorAt(timestamp) }] : [];
  });
  return trades.length === 0 ? { kind: "unknown" } : { kind: "trades", trades };
}

function readAnswer({ success, result, symbol, error }: Record<string, unknown>): ExchangeMessage {
  if (success === true) {
    const subscribed = asObject(result)?.["symbol"];
    return { kind: "subscribed", products: typeof subscribed === "string" ? [subscribed] : [] };
  }
  const reason = typeof error === "string" ? error : "no reason given";
  return { kind: "rejected", products: typeof symbol === "string" ? [symbol] : null, reason };
}

/**
 * The `since` cursor in nanoseconds, just before the trade. REST may or may not include the exact time, and the stream
 * gives only the microseconds of finer times; a duplicate trade is harmless.
 */
function cursorAt(timestamp: unknown): string | null {
  const at_us = typeof timestamp === "string" ? microsFromIso(timestamp.replace(/(\.\d{6})\d+/, "$1")) : null;
  return at_us === null ? null : `${BigInt(at_us - 1) * 1000n}`;
}

function readPage(body: unknown): PageRead | null {
  const whole = asObject(body);
  const errors = Array.isArray(whole?.["error"]) ? whole["error"].filter((error) => typeof error === "string") : [];
  if (errors.length > 0)
    return {
      error: errors.join(", "),
      is_rate_limit: errors.some((error) => /rate limit|too many requests|throttled/i.test(error)),
    };
  const result = asObject(whole?.["result"]);
  if (result === null) return null;
  const rows = Object.entries(result).find(([name]) => name !== "last")?.[1];
  if (!Array.isArray(rows)) return null;
  const { last } = result;
  // The last element of a row is the id.
  const ids = rows.flatMap((row) => (Array.isArray(row) ? (tradeNumber(row.at(-1)) ?? []) : []));
  return { ids, cursor: typeof last === "string" && /^\d{1,20}$/.test(last) ? last : null };
}
