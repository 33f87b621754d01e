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

const HOUR_MS = 3_600_000;

const COINS = "BTC ETH SOL XRP BNB DOGE ADA TRX LINK AVAX SUI XLM LTC BCH DOT UNI AAVE NEAR SHIB HBAR";

/**
 * Binance spot: the combined stream of aggregate trades (developers.binance.com, "WebSocket Streams"). The URL
 * subscribes; the list of subscriptions confirms them. Binance accepts a stream of an unknown name but sends no
 * messages for it.
 */
export const binanceProtocol: ExchangeProtocol = {
  source: "binance",
  title: "Binance",
  ws_url: "wss://data-stream.binance.vision",
  rest_url: "https://data-api.binance.vision",
  products: COINS.split(" ").map((coin) => `${coin}USDT`),
  /** Letters of any script that are not lower case, digits, dots and underscores. */
  product_pattern: /^[\p{Lu}\p{Lo}\p{Lm}\p{N}._]{2,50}$/u,
  spell: upperCase,
  socketUrl: (ws_url, products) => `${ws_url}/stream?streams=${products.map(streamInUrl).join("/")}`,
  subscription: () => '{"method":"LIST_SUBSCRIPTIONS","id":1}',
  read: readMessage,
  /** The source disconnects after 24 hours. */
  life_ms: 23 * HOUR_MS,
  /** The source pings every 20 seconds. */
  silent_after_ms: 30_000,
  is_announcing: false,
  rest: {
    probe_path: "/api/v3/ping",
    backfill: "aggTrades",
    page_size: 1000,
    /** A page has weight 4; the limit is 6,000 per minute. */
    interval_ms: 100,
    path: ({ product, first_id, last_id }) =>
      `/api/v3/aggTrades?symbol=${encodeURIComponent(product)}&fromId=${first_id}&limit=${last_id - first_id + 1}`,
    read: readPage,
  },
};

export function binance(options: Partial<ExchangeOptions> = {}): Producer {
  return exchange(binanceProtocol, options);
}

/** Binance names streams in lower case; a URL percent-encodes characters outside ASCII. */
function streamInUrl(product: string): string {
  return `${encodeURIComponent(product.toLowerCase())}@aggTrade`;
}

function readMessage(message: string): ExchangeMessage {
  const whole = parseObject(message);
  if (whole === null) return { kind: "unknown" };
  const event = asObject(whole["data"]) ?? asObject(whole["event"]) ?? whole;
  if (event["e"] === "serverShutdown") return { kind: "closing" };
  if (event["e"] === "aggTrade" && typeof event["s"] === "string") {
    const id = tradeNumber(event["a"]);
    return id === null ? { kind: "unknown" } : { kind: "trades", trades: [{ product: event["s"], id, cursor: null }] };
  }
  if (!("id" in whole)) return { kind: "unknown" };
  if (Array.isArray(whole["result"])) return { kind: "subscribed", products: whole["result"].flatMap(productOf) };
  const { msg = whole["msg"] } = asObject(whole["error"]) ?? {};
  return typeof msg === "string" ? { kind: "rejected", products: null, reason: msg } : { kind: "unknown" };
}

function productOf(stream: unknown): string[] {
  return typeof stream === "string" && stream.endsWith("@aggTrade")
    ? [stream.slice(0, -"@aggTrade".length).toUpperCase()]
    : [];
}

function readPage(body: unknown): PageRead | null {
  if (!Array.isArray(body)) return null;
  return { ids: body.flatMap((trade) => tradeNumber(asObject(trade)?.["a"]) ?? []), cursor: null };
}
