import { decimalText } from "./decimal.ts";
import { uniform } from "./random.ts";
import { roster, type Coin } from "./roster.ts";
import { marketAt, priceAt, volumeAt } from "./walk.ts";

/** The parameters that determine a market completely: equal parameters yield equal bytes. */
export interface MarketOptions {
  seed: number;
  /** Coins on a page, from MIN_COINS to MAX_COINS; one more between a listing and a delisting. */
  coins: number;
  /** Simulated time between two polls. */
  interval_ms: number;
  /** Share of polls, and of coins in a poll, that have a fault: 0 to 1. */
  dirt_rate: number;
  /** Time of step 0, a whole number of milliseconds. */
  start_us: number;
}

export const MIN_COINS = 5;
/** A page of the real source holds 250. */
export const MAX_COINS = 250;

/** One coin in a poll. Figures are JSON text; `fields` is the whole element in the field order of the real format. */
export interface Quote {
  coin_id: string;
  symbol: string;
  name: string;
  price: string;
  /** Null if the element omits it. */
  market_cap: string | null;
  market_cap_rank: number;
  total_volume: string | null;
  last_updated_us: number;
  fields: Map<string, string>;
}

/** State of a coin at its last update. */
interface State {
  traits: Coin;
  coin: number;
  updated_step: number;
  at_s: number;
  price_usd: number;
  market_cap_usd: number;
}

const STREAM = { quiet: 6, lag: 7, life: 8 } as const;

/** Share of a coin's polls in which the source has no newer data: the element repeats as a correct duplicate. */
const QUIET_RATE = 0.02;
/** Maximum delay of a poll after a coin's last update. */
const MAX_LAG_MS = 3000;

/** Coins that are never listed, delisted or renamed: the two most queried ones, and the one that crashes first. */
const SETTLED_COINS = 3;

export class Market {
  readonly options: MarketOptions;
  readonly #roster: Coin[];
  readonly #renamed: { coin: number; step: number };
  readonly #delisted: { coin: number; step: number };
  readonly #listed_step: number;
  /** The shared walk at the times of the current page, cached because most coins need the same three times. */
  readonly #market_at = new Map<number, number>();

  constructor(options: MarketOptions) {
    checkOptions(options);
    this.options = options;
    this.#roster = roster(options.coins + 1);
    const draw = (a: number, below: number): number => Math.floor(uniform(options.seed, STREAM.life, a) * below);
    const movable = options.coins - SETTLED_COINS;
    const renamed = draw(0, movable);
    this.#renamed = { coin: SETTLED_COINS + renamed, step: 30 + draw(1, 30) };
    this.#listed_step = 50 + draw(2, 30);
    this.#delisted = { coin: SETTLED_COINS + ((renamed + 1 + draw(3, movable - 1)) % movable), step: 70 + draw(4, 30) };
  }

  ingestedAt_us(step: number): number {
    return this.options.start_us + step * this.options.interval_ms * 1000;
  }

  /** The coins of a step's poll before any dirt, by market cap. */
  quotes(step: number): Quote[] {
    this.#market_at.clear();
    return this.#roster
      .flatMap((traits, coin) => (this.#isListed(coin, step) ? [this.#state(traits, coin, step)] : []))
      .sort((a, b) => b.market_cap_usd - a.market_cap_usd || a.coin - b.coin)
      .map((state, index) => this.#quote(state, index + 1));
  }

  #isListed(coin: number, step: number): boolean {
    if (coin === this.#delisted.coin) return step < this.#delisted.step;
    return coin < this.options.coins || step >= this.#listed_step;
  }

  #state(traits: Coin, coin: number, step: number): State {
    const updated_step = this.#updatedStep(coin, step);
    const at_s = (updated_step * this.options.interval_ms) / 1000;
    const price_usd = this.#priceAt(traits, coin, at_s);
    return { traits, coin, updated_step, at_s, price_usd, market_cap_usd: price_usd * traits.supply };
  }

  #priceAt(traits: Coin, coin: number, at_s: number): number {
    const { seed } = this.options;
    const market = this.#market_at.get(at_s) ?? marketAt(seed, at_s);
    this.#market_at.set(at_s, market);
    return priceAt(seed, traits, coin, at_s, market);
  }

  /** The last step, up to this one, in which the coin had an update. */
  #updatedStep(coin: number, step: number): number {
    let updated_step = step;
    while (uniform(this.options.seed, STREAM.quiet, coin, updated_step) < QUIET_RATE) updated_step -= 1;
    return updated_step;
  }

  #quote({ traits, coin, updated_step, at_s, price_usd, market_cap_usd }: State, rank: number): Quote {
    const { seed, interval_ms } = this.options;
    const lag_ms = Math.floor(uniform(seed, STREAM.lag, coin, updated_step) * Math.min(interval_ms, MAX_LAG_MS));
    const last_updated_us = this.ingestedAt_us(updated_step) - lag_ms * 1000;
    const is_renamed = coin === this.#renamed.coin && updated_step >= this.#renamed.step;
    const hour_ago_usd = this.#priceAt(traits, coin, at_s - 3600);
    const day_ago_usd = this.#priceAt(traits, coin, at_s - 86_400);
    const known = {
      coin_id: traits.id,
      symbol: traits.symbol,
      name: is_renamed ? `${traits.name} Reborn` : traits.name,
      price: decimalText(price_usd),
      market_cap: market_cap_usd.toFixed(0),
      market_cap_rank: rank,
      total_volume: volumeAt(seed, traits, coin, at_s).toFixed(0),
      last_updated_us,
    };
    const percent = (before_usd: number): string => ((price_usd / before_usd - 1) * 100).toFixed(5);
    const changes = {
      hour: percent(hour_ago_usd),
      day: percent(day_ago_usd),
      day_usd: (price_usd - day_ago_usd).toFixed(8),
    };
    return { ...known, fields: fieldsOf(known, traits.supply, changes) };
  }
}

/** Fields outside the price model (highs, lows, records) are null, as in much of the real source. */
function fieldsOf(
  known: Omit<Quote, "fields">,
  supply: number,
  changes: Record<"hour" | "day" | "day_usd", string>,
): Map<string, string> {
  return new Map([
    ["id", JSON.stringify(known.coin_id)],
    ["symbol", JSON.stringify(known.symbol)],
    ["name", JSON.stringify(known.name)],
    ["image", JSON.stringify(`https://images.invalid/${known.coin_id}.png`)],
    ["current_price", known.price],
    ["market_cap", known.market_cap ?? "null"],
    ["market_cap_rank", String(known.market_cap_rank)],
    ["fully_diluted_valuation", "null"],
    ["total_volume", known.total_volume ?? "null"],
    ["high_24h", "null"],
    ["low_24h", "null"],
    ["price_change_24h", changes.day_usd],
    ["price_change_percentage_24h", changes.day],
    ["market_cap_change_24h", "null"],
    ["market_cap_change_percentage_24h", changes.day],
    ["circulating_supply", supply.toFixed(0)],
    ["total_supply", "null"],
    ["max_supply", "null"],
    ["ath", "null"],
    ["ath_change_percentage", "null"],
    ["ath_date", "null"],
    ["atl", "null"],
    ["atl_change_percentage", "null"],
    ["atl_date", "null"],
    ["roi", "null"],
    ["last_updated", timeText(known.last_updated_us)],
    ["price_change_percentage_1h_in_currency", changes.hour],
    ["price_change_percentage_24h_in_currency", changes.day],
  ]);
}

/** A time of the real format, as JSON text: milliseconds, UTC. */
export function timeText(at_us: number): string {
  return `"${new Date(at_us / 1000).toISOString()}"`;
}

/** Throws a RangeError that names the option out of bounds. */
export function checkOptions({ seed, coins, interval_ms, dirt_rate, start_us }: MarketOptions): void {
  const rules: [boolean, string][] = [
    [Number.isInteger(seed), "seed must be an integer"],
    [
      Number.isInteger(coins) && coins >= MIN_COINS && coins <= MAX_COINS,
      `coins must be an integer from ${MIN_COINS} to ${MAX_COINS}`,
    ],
    [Number.isInteger(interval_ms) && interval_ms >= 1, "interval_ms must be an integer above 0"],
    [dirt_rate >= 0 && dirt_rate <= 1, "dirt_rate must lie between 0 and 1"],
    [Number.isInteger(start_us) && start_us % 1000 === 0, "start_us must be a whole number of milliseconds"],
  ];
  for (const [is_kept, rule] of rules) if (!is_kept) throw new RangeError(rule);
}
