/** The fields of a trade that gap detection needs. The record itself is the bytes of the message. */
export interface TradeReference {
  product: string;
  /** The source's own number, consecutive per product. */
  id: number;
  /** Where the source's REST interface begins to tell of what followed this trade; null where ids alone say it. */
  cursor: string | null;
}

/** A parsed message. Trades and unknown messages become records; the others are transport. */
export type ExchangeMessage =
  | { kind: "trades"; trades: readonly TradeReference[] }
  | { kind: "unknown" }
  /** The newest trade that the source has published for a product. */
  | { kind: "announced"; product: string; last_id: number }
  | { kind: "subscribed"; products: readonly string[] }
  /** Null: everything that was asked for last. */
  | { kind: "refused"; products: readonly string[] | null; reason: string }
  /** The server is about to close the connection. */
  | { kind: "closing" }
  | { kind: "alive" };

/** Ids `first_id` to `last_id`, both included. */
export interface IdRange {
  first_id: number;
  last_id: number;
}

/** Trades to ask for; never more than a page holds. */
export interface PageAsked extends IdRange {
  product: string;
  cursor: string | null;
}

/**
 * The trades that a REST body tells of, and where the next page begins. A body can also be an error with status 200.
 */
export type PageRead = { ids: readonly number[]; cursor: string | null } | { error: string; is_rate_limit: boolean };

/** What differs between exchanges; everything else is shared. Pure: no state, no network. */
export interface ExchangeProtocol {
  /** The `source` of its records. */
  source: string;
  title: string;
  ws_url: string;
  rest_url: string;
  /** Subscribed where nothing else is asked for: the largest coins against the dollar. */
  products: readonly string[];
  product_pattern: RegExp;
  /** The exchange's own spelling of a product that a person typed: only an exchange that folds case folds it here. */
  spell(product: string): string;
  socketUrl(ws_url: string, products: readonly string[]): string;
  /** The message that subscribes to the trades of the products; must be sent within the source's time limit. */
  subscription(products: readonly string[]): string;
  read(message: string): ExchangeMessage;
  /** A connection is replaced at this age, before the source cuts it; null where it sets no limit. */
  life_ms: number | null;
  /** A connection on which nothing was heard for longer is dead. */
  silent_after_ms: number;
  /** The feed itself tells of the newest trade, so that trades missed while there was no connection show at once. */
  is_announcing: boolean;
  rest: {
    /** Answers quickly and says that the source is there. */
    probe_path: string;
    /** Names the route in the envelope of a filled record. */
    backfill: string;
    page_size: number;
    /** Between two requests: well within what the source allows everybody. */
    interval_ms: number;
    path(asked: PageAsked): string;
    /** The body as parsed JSON. Null where it is no answer of this route. */
    read(body: unknown): PageRead | null;
  };
}

/** Most exchanges name products in upper case alone; letters without case, such as Chinese ones, stay as they are. */
export function upperCase(product: string): string {
  return product.toUpperCase();
}

/** A trade's number, or null where the value is none that a double holds exactly. */
export function tradeNumber(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The object that a message is, or null. Prices in it are never used: its numbers have been through floating point. */
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
