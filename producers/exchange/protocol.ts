/** The fields of a trade that gap detection needs. The record itself is the bytes of the message. */
export interface TradeReference {
  product: string;
  /** The source's own number, consecutive per product. */
  id: number;
  /** REST cursor for the trades after this one; null if ids are sufficient. */
  cursor: string | null;
}

/** A parsed message. Trades and unknown messages become records; all other kinds are transport. */
export type ExchangeMessage =
  | { kind: "trades"; trades: readonly TradeReference[] }
  | { kind: "unknown" }
  /** The newest trade that the source has published for a product. */
  | { kind: "announced"; product: string; last_id: number }
  | { kind: "subscribed"; products: readonly string[] }
  /** Null if the source rejects the whole last request. */
  | { kind: "rejected"; products: readonly string[] | null; reason: string }
  /** The server is about to close the connection. */
  | { kind: "closing" }
  | { kind: "alive" };

/** Ids `first_id` to `last_id`, both included. */
export interface IdRange {
  first_id: number;
  last_id: number;
}

/** Trades to request; at most a page. */
export interface PageAsked extends IdRange {
  product: string;
  cursor: string | null;
}

/** The trade ids of a REST body, and the next page's cursor. A body may be an error with status 200. */
export type PageRead = { ids: readonly number[]; cursor: string | null } | { error: string; is_rate_limit: boolean };

/** The exchange-specific part of the protocol. Pure: no state, no network. */
export interface ExchangeProtocol {
  /** The `source` of its records. */
  source: string;
  title: string;
  ws_url: string;
  rest_url: string;
  /** Default products: the largest coins in US dollars. */
  products: readonly string[];
  product_pattern: RegExp;
  /** The exchange's spelling of a product that a user typed; folds case only if the exchange does. */
  spell(product: string): string;
  socketUrl(ws_url: string, products: readonly string[]): string;
  /** The message that subscribes to the trades of the products; must be sent within the source's time limit. */
  subscription(products: readonly string[]): string;
  read(message: string): ExchangeMessage;
  /** Maximum age of a connection, below the source's limit; null if it has none. */
  life_ms: number | null;
  /** A connection without messages for this time is dead. */
  silent_after_ms: number;
  /** Whether the feed states the newest trade, so that trades missed while disconnected are detected at once. */
  is_announcing: boolean;
  rest: {
    /** Path of a quick request that shows whether the source is reachable. */
    probe_path: string;
    /** Name of the REST route in the envelope of a filled record. */
    backfill: string;
    page_size: number;
    /** Interval between requests, well below the public limit. */
    interval_ms: number;
    path(asked: PageAsked): string;
    /** Parses the body's JSON. Null if the body is not an answer of this route. */
    read(body: unknown): PageRead | null;
  };
}

/** Most exchanges name products in upper case; letters without case are unchanged. */
export function upperCase(product: string): string {
  return product.toUpperCase();
}

/** A trade's number; null if it is not an integer that a double represents exactly. */
export function tradeNumber(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The message as an object, or null. Its prices are never used, because its numbers passed through floating point. */
export function parseObject(message: string): Record<string, unknown> | null {
  try {
    return asObject(JSON.parse(message));
  } catch {
    return null;
  }
}

export function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
