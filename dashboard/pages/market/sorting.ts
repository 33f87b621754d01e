import type { Coin } from "../../../pipelines/crypto/api/schemas.ts";
import { compareDecimals } from "../../format/decimal.ts";
import { priceOf } from "../../state/coins.ts";

export const COLUMNS = [
  { sort: "rank", header: "#", is_ascending_first: true, class: "col-rank" },
  { sort: "name", header: "Coin", is_ascending_first: true, class: "col-name" },
  { sort: "price", header: "Price, USD", is_ascending_first: false, class: "col-price" },
  { sort: "change_1h", header: "1 h", is_ascending_first: false, class: "col-hour" },
  { sort: "change_24h", header: "24 h", is_ascending_first: false, class: "col-day" },
  { sort: "volume_24h", header: "Volume 24 h, USD", is_ascending_first: false, class: "col-volume" },
  { sort: "market_cap", header: "Market cap, USD", is_ascending_first: false, class: "col-cap" },
  { sort: "category", header: "Category", is_ascending_first: true, class: "col-category" },
  { sort: "source", header: "Source", is_ascending_first: true, class: "col-source" },
  { sort: "age", header: "Age", is_ascending_first: true, class: "col-age" },
] as const;

export type Sort = (typeof COLUMNS)[number]["sort"];

type Compare = (a: Coin, b: Coin) => number;

/** Compares by a value; missing values come last in both orders. */
function by<T>(valueOf: (coin: Coin) => T | null, compare: (a: T, b: T) => number): (is_ascending: boolean) => Compare {
  return (is_ascending) => (a, b) => {
    const [x, y] = [valueOf(a), valueOf(b)];
    if (x === null || y === null) return (x === null ? 1 : 0) - (y === null ? 1 : 0);
    return is_ascending ? compare(x, y) : compare(y, x);
  };
}

const numbers = (a: number, b: number) => a - b;

const COMPARE: Record<Sort, (is_ascending: boolean) => Compare> = {
  rank: by((coin) => coin.rank, numbers),
  name: by(
    (coin) => coin.name,
    (a, b) => a.localeCompare(b),
  ),
  price: by((coin) => priceOf(coin.id).peek().price ?? coin.price, compareDecimals),
  change_1h: by((coin) => coin.change_1h_percent, numbers),
  change_24h: by((coin) => coin.change_24h_percent, numbers),
  volume_24h: by((coin) => coin.volume_24h, compareDecimals),
  market_cap: by((coin) => coin.market_cap, compareDecimals),
  category: by(
    (coin) => coin.category,
    (a, b) => a.localeCompare(b),
  ),
  source: by(
    (coin) => coin.source,
    (a, b) => a.localeCompare(b),
  ),
  age: by((coin) => (coin.price_at === null ? null : -Date.parse(coin.price_at)), numbers),
};

/**
 * Matching coins, sorted. Computed when the list is loaded or the order changes, not at every tick, so that rows do not
 * move while they are read.
 */
export function arrange(coins: readonly Coin[], search: string, sort: Sort, is_ascending: boolean): Coin[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = coins.filter((coin) => {
    const text = `${coin.id} ${coin.symbol} ${coin.name} ${coin.category ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const compare = COMPARE[sort](is_ascending);
  const largest_first = COMPARE.volume_24h(false);
  return matching.sort((a, b) => compare(a, b) || largest_first(a, b) || (a.id < b.id ? -1 : 1));
}

export function isSort(text: string | null): text is Sort {
  return COLUMNS.some(({ sort }) => sort === text);
}
