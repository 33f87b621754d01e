/** A defect of a lake: one row, changed outside the pipeline, and the expectations that must fail. */
export interface Damage {
  title: string;
  /** SQL of one column that selects the row; its value replaces $1. */
  row: string;
  sql: string;
  /** `table: expectation` for every expectation that fails. */
  unmet: string[];
  /** Pattern in the displayed unexpected rows of the first of them. */
  sample: RegExp;
}

export const GOLD_DAMAGE: readonly Damage[] = [
  {
    title: "a fact of an unknown coin",
    row: "select min(log_offset) from gold.fact_crypto_ticks",
    sql: "update lake.gold.fact_crypto_ticks set crypto_id = 'nobody' where log_offset = $1 and element_index = 0",
    unmet: [
      "gold.fact_crypto_ticks: The coin of a fact is in dim_crypto",
      "gold.fact_crypto_ticks: The day's facts are the day's accepted prices",
      "gold.fact_crypto_hourly: price_updates is the number of facts of the hour",
    ],
    sample: /crypto_id=nobody/,
  },
  {
    title: "a second current version of a coin",
    row: "select min(crypto_id) from gold.dim_crypto",
    sql: `insert into lake.gold.dim_crypto
      select * replace (crypto_key || ' again' as crypto_key, valid_from + interval 1 minute as valid_from)
      from lake.gold.dim_crypto where crypto_id = $1 and is_current`,
    unmet: [
      "gold.dim_crypto: A coin has exactly one current version",
      "gold.dim_crypto: Versions of a coin follow each other without a gap or an overlap",
    ],
    sample: /current_versions=2/,
  },
  {
    title: "a candle whose high is below its open",
    row: "select min(crypto_id) from gold.fact_crypto_hourly",
    sql: "update lake.gold.fact_crypto_hourly set high = low / 2 where crypto_id = $1",
    unmet: [
      "gold.fact_crypto_hourly: high is at least open",
      "gold.fact_crypto_hourly: high is at least close",
      "gold.fact_crypto_hourly: The average is between low and high",
    ],
    sample: /^\d+\.\d+, \d+\.\d+$/,
  },
  {
    title: "a minute missing from the calendar",
    row: "select max(time_id) from gold.dim_time",
    sql: "delete from lake.gold.dim_time where time_id = $1",
    unmet: ["gold.dim_time: A day has all of its minutes"],
    sample: /minutes=1439/,
  },
];

export const SILVER_DAMAGE: readonly Damage[] = [
  {
    title: "a negative price",
    row: "select min(crypto_id) from silver.crypto_prices_clean",
    sql: `update lake.silver.crypto_prices_clean set price_low = -price_low
      where crypto_id = $1 and minute_at =
        (select min(minute_at) from lake.silver.crypto_prices_clean where crypto_id = $1)`,
    unmet: ["silver.crypto_prices_clean: Prices are positive and plausible"],
    sample: /^-\d+\.\d+$/,
  },
  {
    title: "a minute that does not begin at its first second",
    row: "select max(crypto_id) from silver.crypto_prices_clean",
    sql: `update lake.silver.crypto_prices_clean set minute_at = minute_at + interval 1 second
      where crypto_id = $1 and minute_at =
        (select max(minute_at) from lake.silver.crypto_prices_clean where crypto_id = $1)`,
    unmet: [
      "silver.crypto_prices_clean: Minutes begin at their first second",
      "silver.crypto_prices_clean: The latest price is within its minute",
    ],
    sample: /minute_at=[\dT:-]+:01Z/,
  },
  {
    title: "a price that is accepted twice",
    row: "select min(log_offset) from silver.crypto_price_updates",
    sql:
      "insert into lake.silver.crypto_price_updates select * from lake.silver.crypto_price_updates " +
      "where log_offset = $1 limit 1",
    unmet: [
      "silver.crypto_price_updates: An event is accepted once",
      "silver.crypto_price_updates: An element of the log is accepted once",
      "silver.crypto_prices_clean: The day's minutes include every accepted price",
    ],
    sample: /^simulated:/,
  },
  {
    title: "a duplicate without an accepted row",
    row: "select min(log_offset) from silver.crypto_price_duplicates",
    sql: "update lake.silver.crypto_price_duplicates set identity = 'nothing' where log_offset = $1",
    unmet: ["silver.crypto_price_duplicates: A duplicate repeats an accepted price"],
    sample: /identity=nothing/,
  },
  {
    title: "a rejection with an unknown reason",
    row: "select min(log_offset) from silver.crypto_prices_rejected",
    sql: "update lake.silver.crypto_prices_rejected set reason = '<b>a bad day</b>' where log_offset = $1",
    unmet: ["silver.crypto_prices_rejected: Reasons are listed in data-modeling/schema-design.md"],
    sample: /^<b>a bad day<\/b>$/,
  },
  {
    title: "a coin without a name",
    row: "select min(crypto_id) from silver.crypto_listings where name is not null",
    sql: "update lake.silver.crypto_listings set name = null where crypto_id = $1",
    unmet: ["silver.crypto_listings: A listing has a symbol and a name, or neither"],
    sample: /name=None/,
  },
  {
    title: "a product that is not priced in dollars",
    row: "select min(product) from silver.crypto_products where source = 'kraken'",
    sql: "update lake.silver.crypto_products set quote = 'EUR' where product = $1",
    unmet: ["silver.crypto_products: Quotes are dollars or coins worth a dollar"],
    sample: /^EUR$/,
  },
];
