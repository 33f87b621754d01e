import { openDuckDB, attachCatalog } from "../src/duckdb/duckdb.ts";
import type { OpenLake } from "../src/lake/open.ts";

export interface LargeLake {
  coins: number;
  days: number;
  /** Midnight UTC after the last day. */
  until: string;
}

/** SQL for a coin's price in a minute: deterministic in every engine, with rises and falls. */
const PRICE =
  "(100 + coin * 3 + 20 * sin(minute / 700.0 + coin) + (hash(coin * 100000 + minute) % 1000) / 500.0 " +
  "- if(hash(coin + minute // 997) % 151 = 0, 9, 0))::decimal(38, 18)";

/** SQL for a coin's id: the coins of the questions, and others. */
const ID = "(case coin when 0 then 'bitcoin' when 1 then 'ethereum' else 'coin-' || coin end)";

/**
 * Fills existing tables with one row per minute and coin, in one file per day and one manifest, as compaction leaves
 * them: minutes and ticks of the same prices, and the resulting hours. Tables that no question reads stay empty.
 */
export async function fillLargeLake(open: OpenLake, { coins, days, until }: LargeLake): Promise<void> {
  const instance = await openDuckDB({ memory_limit_mb: 3_000 });
  const connection = await instance.connect();
  try {
    await attachCatalog(connection, open.server.url, "lake");
    await connection.run("USE lake.gold");
    await connection.run(`CREATE TEMP VIEW prices AS
      SELECT ${ID} AS crypto_id, 'C' || coin AS symbol, minute_at, ${PRICE} AS price, coin, minute,
        minute_at + interval 30 second AS price_at, minute_at::date AS price_date
      FROM (
        SELECT coin, minute, timestamptz '${until}' - interval ${days} day + to_minutes(minute::integer) AS minute_at
        FROM range(${coins}) a(coin), range(${days} * 1440) b(minute)
      )`);
    await connection.run(`INSERT INTO silver.crypto_prices_clean BY NAME
      SELECT crypto_id, symbol, minute_at, price, price AS price_first, price AS price_high, price AS price_low,
        price_at, 1000000 + coin AS volume_24h, 5000000 - coin AS market_cap,
        NULL::decimal(38, 18) AS traded_volume_usd, price AS price_sum, 1 AS price_updates,
        'bench' AS source, price_date
      FROM prices ORDER BY price_date, crypto_id, minute_at`);
    await connection.run(`INSERT INTO gold.fact_crypto_ticks BY NAME
      SELECT crypto_id, minute AS time_id, price AS price_usd, (1000000 + coin)::decimal(38, 18) AS volume_24h,
        (5000000 - coin)::decimal(38, 18) AS market_cap, 1.0 AS percent_change_1h, price_at, price_date,
        'bench' AS source, 'crypto.prices.raw' AS log_topic, 0 AS log_partition, minute AS log_offset,
        coin AS element_index
      FROM prices ORDER BY price_date, crypto_id, price_at`);
    await connection.run(`INSERT INTO silver.crypto_price_updates BY NAME
      SELECT 'bench:' || crypto_id || ':' || minute AS identity, crypto_id, symbol, 'bench' AS source, price, price_at,
        price_date, price_at AS ingested_at, 'crypto.prices.raw' AS log_topic, 0 AS log_partition,
        minute AS log_offset, coin AS element_index, ${coins} AS element_count
      FROM prices ORDER BY price_date, crypto_id, price_at`);
    await connection.run(`INSERT INTO gold.fact_crypto_hourly BY NAME
      SELECT crypto_id, date_trunc('hour', minute_at) AS hour_at, arg_min(price, minute_at) AS open,
        max(price) AS high, min(price) AS low, arg_max(price, minute_at) AS close, avg(price)::double AS avg_price,
        count(*)::integer AS price_updates, price_date AS hour_date
      FROM prices GROUP BY ALL ORDER BY hour_date, crypto_id, hour_at`);
    await connection.run(`INSERT INTO gold.dim_crypto BY NAME
      SELECT ${ID} || '@bench' AS crypto_key, ${ID} AS crypto_id, 'C' || coin AS symbol, 'Coin ' || coin AS name,
        (coin + 1)::integer AS market_cap_rank, timestamptz '${until}' - interval ${days} day AS valid_from,
        true AS is_current, false AS is_delisted
      FROM range(${coins}) a(coin)`);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
