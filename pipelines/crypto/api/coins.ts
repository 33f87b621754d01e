import { z } from "@hono/zod-openapi";
import type { ApiResource, ReadTables } from "../../../src/pipeline/definition.ts";
import { trimDecimal } from "../../../src/pipeline/decimal-text.ts";
import { decodeCursor, encodeCursor } from "../../../src/serve/cursor.ts";
import { PageQuery } from "../../../src/serve/schemas/values.ts";
import { EVENT_POSITION } from "../columns.ts";
import { compareDecimals, decimalOrNull, numberOrNull, time, timeOrNull } from "./figures.ts";
import { COIN_SORTS, Coin, Coins, type CoinSort } from "./schemas.ts";

const CoinQuery = PageQuery.extend({
  search: z.string().max(100).optional().openapi({ description: "Part of a name, symbol or id; case is ignored" }),
  sort: z.enum(COIN_SORTS).default("rank"),
  order: z.enum(["asc", "desc"]).optional().openapi({ description: "Default: asc for rank, desc for other columns" }),
});

/** Maximum age of a coin's last price, relative to the newest event. */
const WINDOW = "interval 48 hour";

/**
 * Every current coin with its price now, one hour ago and one day ago, from minutes. The minutes that contain those
 * times are read from ticks, so that the changes are exact.
 */
function coinsSql({ table }: Pick<ReadTables, "table">, latest: string): string {
  const moment = (span: string) => `(timestamptz '${latest}' - ${span})`;
  const minutes = table("silver.crypto_prices_clean");
  const updates = table("silver.crypto_price_updates");
  const partOfMinute = (span: string) => `
      select crypto_id, arg_max(price, ${EVENT_POSITION}) as price, max(price_at) as price_at
      from ${updates}
      where price_date = cast(${moment(span)} as date)
        and price_at >= date_trunc('minute', ${moment(span)}) and price_at <= ${moment(span)}
      group by crypto_id`;
  const before = (span: string) => `
      select crypto_id, arg_max(price, price_at) as price from (
        select crypto_id, price, price_at from recent
        where minute_at < date_trunc('minute', ${moment(span)}) and minute_at > ${moment(span)} - interval 24 hour
        union all (${partOfMinute(span)})
      ) group by crypto_id`;
  return `
    with recent as (
      select crypto_id, minute_at, price, price_at, source, volume_24h, market_cap, traded_volume_usd from ${minutes}
      where price_date >= cast(${moment(WINDOW)} as date) and minute_at > ${moment(WINDOW)}
    ),
    newest as (
      select crypto_id, arg_max(price, minute_at) as price, max(price_at) as price_at,
        arg_max(source, minute_at) as source,
        arg_max(volume_24h, minute_at) filter (where volume_24h is not null) as volume_24h,
        arg_max(market_cap, minute_at) filter (where market_cap is not null) as market_cap,
        sum(traded_volume_usd) filter (where minute_at > ${moment("interval 24 hour")}) as traded
      from recent group by crypto_id
    ),
    hour_ago as (${before("interval 1 hour")}),
    day_ago as (${before("interval 24 hour")}),
    quarters as (
      select crypto_id, time_bucket(interval 15 minute, minute_at) as quarter, arg_max(price, minute_at) as price
      from recent where minute_at > ${moment("interval 24 hour")} group by all
    ),
    sparks as (
      select crypto_id, string_agg(price::varchar, ',' order by quarter desc) as sparkline
      from quarters group by crypto_id
    )
    select coins.crypto_id, coins.symbol, coins.name, coins.category, coins.is_delisted,
      case when not coins.is_delisted then coins.market_cap_rank end as market_cap_rank,
      newest.price, newest.price_at, newest.source, newest.market_cap,
      coalesce(newest.volume_24h, newest.traded) as volume_24h,
      100 * (newest.price - hour_ago.price)::double / hour_ago.price::double as change_1h,
      100 * (newest.price - day_ago.price)::double / day_ago.price::double as change_24h,
      sparks.sparkline
    from ${table("gold.dim_crypto")} as coins
    left join newest using (crypto_id)
    left join hour_ago using (crypto_id)
    left join day_ago using (crypto_id)
    left join sparks using (crypto_id)
    where coins.is_current
    order by market_cap_rank nulls last, coins.crypto_id`;
}

const MAX_SPARKS = 96;

function coinOf(row: Record<string, string | null>): Coin {
  return {
    id: row["crypto_id"] ?? "",
    symbol: row["symbol"] ?? "",
    name: row["name"] ?? "",
    category: row["category"] ?? null,
    rank: numberOrNull(row["market_cap_rank"]),
    price: decimalOrNull(row["price"]),
    price_at: timeOrNull(row["price_at"]),
    source: row["source"] ?? null,
    change_1h_percent: numberOrNull(row["change_1h"]),
    change_24h_percent: numberOrNull(row["change_24h"]),
    volume_24h: decimalOrNull(row["volume_24h"]),
    market_cap: decimalOrNull(row["market_cap"]),
    is_delisted: row["is_delisted"] === "true",
    sparkline: (row["sparkline"]?.split(",") ?? []).slice(0, MAX_SPARKS).map(trimDecimal).toReversed(),
  };
}

/** All coins, cached for one second and shared by all sort orders. */
async function everyCoin(tables: ReadTables): Promise<Coin[]> {
  return tables.once("coins", async () => {
    const latest = await tables.latest_event();
    if (latest === null) return [];
    return (await tables.rows(coinsSql(tables, time(latest)))).map(coinOf);
  });
}

const KEYS: Record<CoinSort, (coin: Coin) => string | number | null> = {
  rank: ({ rank }) => rank,
  price: ({ price }) => price,
  change_1h: ({ change_1h_percent }) => change_1h_percent,
  change_24h: ({ change_24h_percent }) => change_24h_percent,
  volume_24h: ({ volume_24h }) => volume_24h,
  market_cap: ({ market_cap }) => market_cap,
};

type Place = { key: string | number | null; id: string };

/**
 * Sorts by value, nulls last, ties by id: a total order, so that pages neither repeat nor omit rows.
 */
function comparePlaces(a: Place, b: Place, is_descending: boolean): number {
  if (a.key === null || b.key === null) {
    if (a.key !== b.key) return a.key === null ? 1 : -1;
  } else {
    const order =
      typeof a.key === "string" || typeof b.key === "string"
        ? compareDecimals(String(a.key), String(b.key))
        : a.key - b.key;
    if (order !== 0) return is_descending ? -order : order;
  }
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

const CursorPlace = z.object({
  key: z.union([z.number(), z.string().regex(/^-?\d+(\.\d+)?$/), z.null()]),
  id: z.string(),
});

export const coins: ApiResource = {
  path: "coins",
  summary: "Every coin with its price, changes, volume and the prices of the last day",
  description:
    "As of the newest event, through the live views. Sorted by what moves, pages go by value: a coin that " +
    "moved past the cursor meanwhile may be missed or come again.",
  query: CoinQuery,
  response: Coins,
  fresh_ms: 500,
  async answer({ query }, tables) {
    const { search, sort, order, limit, cursor } = CoinQuery.parse(query);
    const is_descending = (order ?? (sort === "rank" ? "asc" : "desc")) === "desc";
    const wanted = search?.trim().toLowerCase() ?? "";
    const found = (await everyCoin(tables)).filter(({ id, symbol, name }) =>
      [id, symbol, name].some((text) => text.toLowerCase().includes(wanted)),
    );
    const placed = found.map((coin) => ({ coin, place: { key: KEYS[sort](coin), id: coin.id } }));
    placed.sort((a, b) => comparePlaces(a.place, b.place, is_descending));
    const after = decodeCursor(cursor, CursorPlace);
    const rest = after === null ? placed : placed.filter(({ place }) => comparePlaces(place, after, is_descending) > 0);
    const page = rest.slice(0, limit);
    const last = page.at(-1);
    const next = rest.length > page.length && last !== undefined ? encodeCursor(last.place) : null;
    return { items: page.map(({ coin }) => coin), next, total: found.length };
  },
};

export const coin: ApiResource = {
  path: "coins/{id}",
  summary: "One coin, by id, symbol or name",
  params: z.object({ id: z.string().max(200) }),
  response: Coin,
  fresh_ms: 500,
  async answer({ params }, tables) {
    const given = params["id"] ?? "";
    const all = await everyCoin(tables);
    const found = all.find(({ id }) => id === given);
    if (found !== undefined || all.length === 0) return found ?? null;
    const id = await tables.subject(given);
    return all.find((coin) => coin.id === id) ?? null;
  },
};
