import type { Question, QuestionOptions, TableNaming } from "../../src/pipeline/definition.ts";
import { EVENT_ORDER, EVENT_POSITION } from "./columns.ts";
import { projectVar } from "../project-var.ts";

const MAX_EVENT_SKEW_S = projectVar("dbt_crypto", "max_event_skew_s");

/**
 * The five business questions over silver and gold. Event time is `price_at`; a price is in effect until the coin's
 * next one, and `EVENT_ORDER` orders events of equal time. All times are UTC.
 */

/**
 * Default coin names, in order: CoinGecko's id, the symbol, and the pairs that recordings use.
 */
const BITCOIN = ["bitcoin", "BTC", "BTCUSDT", "BTC-USD", "BTC/USD", "BTCUSD"];
const ETHEREUM = ["ethereum", "ETH", "ETHUSDT", "ETH-USD", "ETH/USD", "ETHUSD"];

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;

/**
 * Every accepted update. With live views, reads the view of the updates: the view of the facts would also compute
 * hourly changes, which no question uses.
 */
export function facts(table: TableNaming): string {
  const gold = "gold.fact_crypto_ticks";
  // Facts that were committed before the table had these columns are ordered by the remaining columns.
  if (table(gold) === gold) {
    const columns = "select null::varchar as product, null::bigint as trade_number where false";
    return `(${columns} union all by name select * from ${gold})`;
  }
  return `(select crypto_id, price as price_usd, volume_24h, traded_volume_usd, price_at, price_date, source, product,
      trade_number, log_partition, log_offset, element_index
    from ${table("silver.crypto_price_updates")})`;
}

/** The coin of the option, else the question's default coin; none if the lake has neither. */
function coinOf({ values }: QuestionOptions): string {
  return values["coin"] === undefined ? "null" : text(String(values["coin"]));
}

/** The price in effect at a moment: the coin's last fact at or before it. */
function priceInEffect(options: QuestionOptions, moment: string): string {
  return `select crypto_id, price_usd, price_at, source from ${facts(options.table)}
    where crypto_id = ${coinOf(options)} and price_date <= cast(${moment} as date) and price_at <= ${moment}
    order by ${EVENT_ORDER.map((expression) => `${expression} desc`).join(", ")} limit 1`;
}

const PRICE_COLUMNS = [
  { name: "crypto_id", header: "coin", kind: "text" },
  { name: "price_usd", header: "price (USD)", kind: "price" },
  { name: "price_at", header: "price of (UTC)", kind: "time" },
  { name: "source", header: "source", kind: "text" },
] as const;

const bitcoinNow: Question = {
  number: 1,
  title: "Bitcoin now, and its change over the last hour",
  tile: "Bitcoin now",
  options: {
    coin: { description: "id, symbol or name of the coin", default: null, is_subject: true, default_names: BITCOIN },
  },
  parts: [
    {
      title: "",
      when_empty: "The lake has no price of this coin up to that time.",
      sql: (options) => `
        with latest as (${priceInEffect(options, options.as_of)}),
        hour_ago as (${priceInEffect(options, `(${options.as_of} - interval 1 hour)`)})
        select latest.*, hour_ago.price_usd as price_hour_ago,
          100 * (latest.price_usd - hour_ago.price_usd)::double / hour_ago.price_usd::double as change_percent,
          case when hour_ago.price_usd is null then 'no price an hour before' end as reason
        from latest left join hour_ago using (crypto_id)`,
      columns: [
        ...PRICE_COLUMNS.slice(0, 3),
        { name: "price_hour_ago", header: "an hour before (USD)", kind: "price" },
        { name: "change_percent", header: "change (%)", kind: "percent" },
        { name: "source", header: "source", kind: "text" },
        { name: "reason", header: "not measured", kind: "text", is_optional: true },
      ],
    },
  ],
};

const mostVolatile: Question = {
  number: 2,
  title: "The most volatile coin today",
  tile: "Most volatile today",
  options: {},
  parts: [
    {
      title: "standard deviation of one-minute log returns since 00:00 UTC, from pairs of adjacent minutes",
      when_empty: "No coin has a price today.",
      sql: ({ as_of, table }) => `
        with minutes as (
          select crypto_id, symbol, minute_at, price::double as price,
            lag(price::double) over by_coin as price_before,
            lag(minute_at) over by_coin as minute_before
          from ${table("silver.crypto_prices_clean")}
          where price_date = cast(${as_of} as date) and minute_at <= ${as_of}
          window by_coin as (partition by crypto_id order by minute_at)
        ),
        coins as (
          select crypto_id, any_value(symbol) as symbol, max(minute_at) as latest_minute_at,
            stddev_samp(ln(price / price_before))
              filter (where minute_at - minute_before = interval 1 minute) as volatility,
            count(*) filter (where minute_at - minute_before = interval 1 minute) as minutes_used,
            date_diff('minute', min(minute_at), max(minute_at)) as minutes_spanned
          from minutes group by crypto_id
        ),
        measured as (
          -- where most minutes have no price, what is left says how prices are sampled, not how they move
          select *, minutes_used >= 2 and 2 * minutes_used >= minutes_spanned as is_measured from coins
        )
        select crypto_id, symbol, case when is_measured then 100 * volatility end as volatility_percent,
          minutes_used, latest_minute_at,
          case when not is_measured then minutes_used || ' of ' || minutes_spanned
            || ' minutes have a price in the minute before; half of them, and two, are needed' end as reason
        from measured
        order by volatility_percent desc nulls last, minutes_used desc, crypto_id limit 1`,
      columns: [
        { name: "crypto_id", header: "coin", kind: "text" },
        { name: "symbol", header: "symbol", kind: "text" },
        { name: "volatility_percent", header: "volatility (% a minute)", kind: "figure" },
        { name: "minutes_used", header: "minutes used", kind: "count" },
        { name: "latest_minute_at", header: "latest minute (UTC)", kind: "time" },
        { name: "reason", header: "not measured", kind: "text", is_optional: true },
      ],
    },
  ],
};

const TWO_HOURS_MS = 2 * 3_600_000;

const ethereumTwoHoursAgo: Question = {
  number: 3,
  title: "Ethereum exactly two hours ago, in two ways",
  tile: "Ethereum 2 h ago",
  options: {
    coin: { description: "id, symbol or name of the coin", default: null, is_subject: true, default_names: ETHEREUM },
  },
  parts: [
    {
      title: "event time: the price in effect at that time",
      when_empty: "The lake has no price of this coin up to that time.",
      sql: (options) => priceInEffect(options, `(${options.as_of} - interval 2 hour)`),
      columns: PRICE_COLUMNS,
    },
    {
      title: "lake time: the latest price in the tables at that time",
      when_empty: "The lake's tables had no price of this coin at that time.",
      lake_time_before_ms: TWO_HOURS_MS,
      sql: (options) => priceInEffect(options, options.as_of),
      columns: PRICE_COLUMNS,
    },
  ],
};

/** DuckDB truncates `interval (0.5) hour` to zero, so fractions are written in whole seconds. */
const span = (count: string | number | undefined, unit_s: number) =>
  `interval ${Math.round(Number(count) * unit_s)} second`;

/** The end of the query: joins the falls among the evaluated ticks into episodes, one row each. */
const FALL_EPISODES = `numbered as (
          -- an episode is ended by a tick that is no fall, in its own minute or in a quiet one between
          select *, count_if(not is_fall) over (
            partition by crypto_id order by ${EVENT_ORDER.join(", ")}
          ) as episode
          from evaluated
        )
        select crypto_id, min(price_at) as fell_at, max(price_at) as until_at,
          arg_min(highest, ${EVENT_POSITION}) as from_price, min(price_usd) as lowest_price,
          max(100 * (highest - price_usd)::double / highest::double) as fall_percent, count(*) as ticks
        from numbered where is_fall
        group by crypto_id, quiet_minutes, episode
        order by fell_at, crypto_id`;

const falls: Question = {
  number: 4,
  title: "Falls within minutes",
  tile: "Falls > 5 % in 10 min",
  options: {
    percent: { description: "minimum fall in percent", default: 5 },
    minutes: { description: "window in minutes before each price", default: 10 },
    hours: { description: "hours of history to search", default: 24 },
    coin: { description: "id, symbol or name of the coin", default: null, is_subject: true },
  },
  parts: [
    {
      title: "one row per fall: from the first price that far below the window's highest price until the recovery",
      when_empty: "No coin fell that far within the window in that time.",
      sql: ({ as_of, table, values: { percent, minutes, hours, coin } }) => {
        const window = span(minutes, 60);
        const since = `(${as_of} - ${span(hours, 3_600)})`;
        const ofCoin = coin ? `and crypto_id = ${text(String(coin))}` : "";
        return `
        with minutes as (
          -- the window of any tick of a minute lies in the minutes from one before the window's length on
          select crypto_id, minute_at, price_low,
            max(price_high) over (
              partition by crypto_id order by minute_at
              range between ${window} + interval 1 minute preceding and current row
            ) as highest
          from ${table("silver.crypto_prices_clean")}
          where minute_at > ${since} - ${window} - interval 2 minute and minute_at <= ${as_of}
            and price_date >= cast(${since} - ${window} - interval 2 minute as date)
            and price_date <= cast(${as_of} as date)
            ${ofCoin}
        ),
        candidates as (
          -- a minute has falls only if its lowest price is a fall against the highest price in any of its windows
          select crypto_id, minute_at,
            minute_at > ${since} - interval 1 minute
              and (highest - price_low) * 100 > highest * ${percent} as is_candidate
          from minutes
        ),
        marked as (
          select *,
            bool_or(is_candidate) over (
              partition by crypto_id order by minute_at
              range between current row and ${window} + interval 1 minute following
            ) as is_needed,
            count_if(not is_candidate) over (partition by crypto_id order by minute_at) as quiet_minutes
          from candidates
        ),
        needed as (
          select * from marked where is_needed
        ),
        ticks as (
          -- the window of a tick ends with the tick: those of the same moment count where they come before it
          select facts.*, is_candidate, quiet_minutes,
            greatest(
              max(price_usd) over (
                partition by facts.crypto_id order by price_at
                range between ${window} preceding and interval 1 microsecond preceding
              ),
              max(price_usd) over (
                partition by facts.crypto_id, price_at order by ${EVENT_ORDER.join(", ")} rows unbounded preceding
              )
            ) as highest
          from ${facts(table)} as facts
          inner join needed
            on facts.crypto_id = needed.crypto_id and date_trunc('minute', facts.price_at) = needed.minute_at
          where price_at > ${since} - ${window} and price_at <= ${as_of}
            and price_date >= cast(${since} - ${window} as date) and price_date <= cast(${as_of} as date)
        ),
        evaluated as (
          select *, (highest - price_usd) * 100 > highest * ${percent} as is_fall
          from ticks where is_candidate and price_at > ${since}
        ),
        ${FALL_EPISODES}`;
      },
      columns: [
        { name: "crypto_id", header: "coin", kind: "text" },
        { name: "fell_at", header: "first tick (UTC)", kind: "time" },
        { name: "until_at", header: "last tick (UTC)", kind: "time" },
        { name: "from_price", header: "highest before (USD)", kind: "price" },
        { name: "lowest_price", header: "lowest (USD)", kind: "price" },
        { name: "fall_percent", header: "deepest fall (%)", kind: "figure" },
        { name: "ticks", header: "ticks", kind: "count" },
      ],
    },
  ],
};

const topVolumes: Question = {
  number: 5,
  title: "24 h volume of the top ten coins",
  tile: "24 h volume, top ten",
  options: {},
  parts: [
    {
      title: "by rank where the source gives ranks, else by volume; the source's rolling figure, else trades added up",
      when_empty: "The lake has no coin with a volume up to then.",
      sql: ({ as_of, table }) => `
        with listed as (
          -- a version begins when its listing is ingested, which the late-event limit bounds
          select ${as_of} + interval ${MAX_EVENT_SKEW_S} second as listed_by
        ),
        coins as (
          select crypto_id, symbol, name, market_cap_rank from ${table("gold.dim_crypto")}, listed
          where valid_from <= listed_by and (valid_to is null or valid_to > listed_by) and not is_delisted
        ),
        volumes as (
          select crypto_id,
            arg_max(volume_24h, ${EVENT_POSITION}) filter (where volume_24h is not null) as rolling,
            sum(traded_volume_usd) as traded,
            max(price_at) as latest_at
          from ${facts(table)}
          where price_date >= cast(${as_of} - interval 24 hour as date)
            and price_at > ${as_of} - interval 24 hour and price_at <= ${as_of}
          group by crypto_id
        )
        select coins.market_cap_rank, coins.symbol, coins.name, coalesce(volumes.rolling, volumes.traded) as volume_usd,
          case when volumes.rolling is not null then 'rolling, by source' else 'trades added up' end as basis,
          volumes.latest_at
        from coins inner join volumes using (crypto_id)
        where coalesce(volumes.rolling, volumes.traded) is not null
        order by coins.market_cap_rank nulls last, volume_usd desc, coins.crypto_id limit 10`,
      columns: [
        { name: "market_cap_rank", header: "rank", kind: "count" },
        { name: "symbol", header: "symbol", kind: "text" },
        { name: "name", header: "name", kind: "text" },
        { name: "volume_usd", header: "24 h volume (USD)", kind: "amount" },
        { name: "basis", header: "basis", kind: "text" },
        { name: "latest_at", header: "latest price (UTC)", kind: "time" },
      ],
    },
  ],
};

export const questions: readonly Question[] = [bitcoinNow, mostVolatile, ethereumTwoHoursAgo, falls, topVolumes];
