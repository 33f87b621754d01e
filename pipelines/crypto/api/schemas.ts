import { z } from "@hono/zod-openapi";
import { INTERVALS } from "../../../src/pipeline/intervals.ts";
import { Count, Decimal, pageOf, Snapshot, Time } from "../../../src/serve/schemas/values.ts";

/** API schemas of the crypto pipeline: coins, candles, products without a mapping. */

export const Coin = z
  .object({
    id: z.string(),
    symbol: z.string(),
    name: z.string(),
    category: z.string().nullable(),
    rank: z.int().nullable(),
    price: Decimal.nullable(),
    price_at: Time.nullable(),
    source: z.string().nullable(),
    change_1h_percent: z.number().nullable(),
    change_24h_percent: z.number().nullable(),
    volume_24h: Decimal.nullable(),
    market_cap: Decimal.nullable(),
    is_delisted: z.boolean(),
    /**
     * Prices of the last 24 hours, oldest first, at most 96: the last price of each quarter of an hour that has one.
     */
    sparkline: z.array(Decimal),
  })
  .openapi("Coin");

export const Coins = pageOf(Coin).extend({ total: Count }).openapi("Coins");

export const COIN_SORTS = ["rank", "price", "change_1h", "change_24h", "volume_24h", "market_cap"] as const;

export const Candle = z.object({
  /** Start of the interval. */
  time: Time,
  open: Decimal,
  high: Decimal,
  low: Decimal,
  close: Decimal,
  /** Traded volume in US dollars; null where sources report none. */
  volume: Decimal.nullable(),
  price_updates: Count,
});

export const LastPrice = z.object({ price: Decimal, price_at: Time, source: z.string() });

/** Oldest first; `next` is the cursor of the page with earlier candles. */
export const Candles = z
  .object({
    interval: z.enum(INTERVALS),
    /** Lake time of the tables read; null for the present, which includes events after the last commit. */
    at: Time.nullable(),
    snapshots: z.array(Snapshot),
    items: z.array(Candle),
    /**
     * The coin's newest price, at least as new as the last close. Null for the past, for a page that ends earlier, and
     * without candles.
     */
    last_price: LastPrice.nullable(),
    next: z.string().nullable(),
  })
  .openapi("Candles");

export const UnmappedProduct = z
  .object({ source: z.string(), product: z.string(), first_at: Time, last_at: Time, updates: Count })
  .openapi("UnmappedProduct");

export const UnmappedProducts = pageOf(UnmappedProduct).openapi("UnmappedProducts");

export type Coin = z.infer<typeof Coin>;
export type Coins = z.infer<typeof Coins>;
export type CoinSort = (typeof COIN_SORTS)[number];
export type Candle = z.infer<typeof Candle>;
export type Candles = z.infer<typeof Candles>;
export type UnmappedProduct = z.infer<typeof UnmappedProduct>;
