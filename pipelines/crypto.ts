import { binance } from "../producers/binance.ts";
import { coinbase } from "../producers/coinbase.ts";
import { settingNames } from "../producers/exchange/exchange.ts";
import { kraken } from "../producers/kraken.ts";
import { openReplay } from "../producers/replay.ts";
import { simulated } from "../producers/simulated.ts";
import type { Pipeline, ProducerFactory } from "../src/pipeline/definition.ts";
import type { Producer } from "../src/producer/producer.ts";
import { api } from "./crypto/api.ts";
import { coinNames } from "./crypto/coin-names.ts";
import { columns } from "./crypto/columns.ts";
import { facts, questions } from "./crypto/questions.ts";
import { reasons } from "./crypto/reasons.ts";
import { default_rules } from "./crypto/rules.ts";
import { projectVar } from "./project-var.ts";
import { seedOf } from "./seed.ts";
import { simulatedHistory_ms } from "./simulated-history.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

/** CoinGecko's client has a hundred modules, which only a start from this source loads. */
async function loadCoinGecko(): Promise<Producer> {
  const { coingecko } = await import("../producers/coingecko.ts");
  return coingecko();
}

const ELEMENT_COLUMNS = ["log_topic", "log_partition", "log_offset", "element_index"] as const;
const ELEMENT = ELEMENT_COLUMNS.join(", ");

/** The crypto pipeline: live and recorded prices, candles, a slowly changing dimension and five questions. */
export const crypto: Pipeline = {
  name: "crypto",
  lake_prefix: null,
  title: "Crypto prices",
  topic: { name: "crypto.prices.raw", partitions: 1, retention_ms: HOUR_MS },
  bronze: {
    table: "bronze.crypto_ticks_raw",
    commit: { interval_ms: 30_000, due_records: 50_000, due_size_bytes: 8 * MIB, first_interval_ms: 2_000 },
    commit_size_bytes: 64 * MIB,
  },
  transform: {
    project: "dbt_crypto",
    increment: { interval_ms: 90_000, due_records: 50_000, due_size_bytes: 8 * MIB, first_interval_ms: 10_000 },
    increment_max_share: 0.1,
    test_interval_ms: 10 * 60_000,
    test_max_share: 0.02,
  },
  maintenance: {
    z_order: {
      "gold.fact_crypto_ticks": ["crypto_id", "price_at"],
      "gold.fact_crypto_hourly": ["crypto_id", "hour_at"],
    },
  },
  producers: {
    live: {
      description: "all live sources below in one lake; or a list, such as coinbase,kraken",
      argument: null,
      create: async () => [await loadCoinGecko(), binance(), coinbase(), kraken()],
    },
    coingecko: {
      description: "market pages of CoinGecko within a monthly call budget; COINGECKO_API_KEY is optional",
      argument: null,
      settings: [
        {
          subject: "CoinGecko key",
          variables: ["COINGECKO_API_KEY", "COINGECKO_PRO_API_KEY"],
          when_missing: "not set: polls without a key share the limit of this network address",
          remedy: "Optional: set COINGECKO_API_KEY to a free demo key.",
        },
      ],
      create: async () => [await loadCoinGecko()],
    },
    binance: exchangeFactory("Binance", "binance", binance),
    coinbase: exchangeFactory("Coinbase", "coinbase", coinbase),
    kraken: exchangeFactory("Kraken", "kraken", kraken),
    simulated: {
      description: "a simulated market with realistic data errors; SEED selects another (default: 1)",
      argument: { name: "SEED", is_required: false },
      create: async ({ argument, speed }) => [
        simulated({ seed: seedOf(argument), speed: speed ?? 1, history_ms: simulatedHistory_ms() }),
      ],
    },
    replay: {
      description: "a recorded file: candles as CSV, records as JSON lines, or a WebSocket session; also gzipped",
      argument: { name: "FILE", is_required: true },
      create: async ({ argument, speed }) => [await openReplay({ file: argument ?? "", speed: speed ?? 1 })],
    },
  },
  default_source: "live",
  fallback_source: "simulated",
  reconciliation: {
    accepted: "silver.crypto_price_updates",
    duplicates: "silver.crypto_price_duplicates",
    conflicting: "is_conflicting",
    compared: ["price_at", "price", "traded_volume", "volume_24h", "market_cap", "percent_change_1h"],
    rejected: "silver.crypto_prices_rejected",
    reasons,
    rejected_partition: "ingestion_date",
    checks: [
      {
        claim: "every accepted update is one fact",
        left: "select count(*) from silver.crypto_price_updates",
        right: "select count(*) from gold.fact_crypto_ticks",
      },
      {
        claim: "minutes hold every accepted update",
        left: "select count(*) from silver.crypto_price_updates",
        right: "select coalesce(sum(price_updates), 0) from silver.crypto_prices_clean",
      },
      {
        claim: "hours hold every accepted update",
        left: "select count(*) from silver.crypto_price_updates",
        right: "select coalesce(sum(price_updates), 0) from gold.fact_crypto_hourly",
      },
      {
        claim: "every coin with a fact has one current version",
        left: "select count(distinct crypto_id) from gold.fact_crypto_ticks",
        right: `select count(*) from gold.dim_crypto
          where is_current and crypto_id in (select crypto_id from gold.fact_crypto_ticks)`,
      },
      {
        claim: "facts are the accepted updates, row by row",
        left: `select sum(hash(
            ${ELEMENT}, crypto_id, source, price, price_at, volume_24h, market_cap, traded_volume_usd
          )::hugeint) from silver.crypto_price_updates`,
        right: `select sum(hash(
            ${ELEMENT}, crypto_id, source, price_usd, price_at, volume_24h, market_cap, traded_volume_usd
          )::hugeint) from gold.fact_crypto_ticks`,
      },
      {
        claim: "hours are the minutes together, candle by candle",
        left: `select sum(hash(crypto_id, hour_at, high, low, total_volume, price_updates)::hugeint) from (
            select crypto_id, date_trunc('hour', minute_at) as hour_at, max(price_high) as high, min(price_low) as low,
              sum(traded_volume_usd)::decimal(38, 18) as total_volume, sum(price_updates)::integer as price_updates
            from silver.crypto_prices_clean group by all
          )`,
        right: `select sum(hash(crypto_id, hour_at, high, low, total_volume, price_updates)::hugeint)
          from gold.fact_crypto_hourly`,
      },
    ],
    tables: {
      "silver.crypto_products": { key: ["source", "product"], is_seed: true },
      "silver.crypto_price_updates": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.crypto_price_duplicates": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.crypto_prices_rejected": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.crypto_prices_clean": { key: ["crypto_id", "minute_at"] },
      "silver.crypto_listings": { key: ["source", "crypto_id", "is_page", "listed_at"] },
      "gold.fact_crypto_ticks": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "gold.fact_crypto_hourly": { key: ["crypto_id", "hour_at"] },
      "gold.dim_crypto": { key: ["crypto_key"] },
      "gold.dim_time": { key: ["time_id"] },
    },
    references: [
      { table: "gold.fact_crypto_ticks", column: "time_id", to: "gold.dim_time", to_column: "time_id" },
      { table: "gold.fact_crypto_ticks", column: "crypto_id", to: "gold.dim_crypto", to_column: "crypto_id" },
      { table: "gold.fact_crypto_hourly", column: "crypto_id", to: "gold.dim_crypto", to_column: "crypto_id" },
    ],
  },
  live: {
    elements: "stg_crypto__elements",
    is_candidate: "reason is null",
    has_timestamp_identity:
      "identity = concat_ws(':', source, coalesce(product, crypto_id), epoch_us(price_at)::varchar)",
    verdicts: ["crypto_price_updates", "crypto_price_duplicates"],
    by_minute: ["crypto_prices_clean"],
    columns,
  },
  subjects: coinNames,
  alerts: { default_rules, lateness_s: projectVar("dbt_crypto", "max_event_skew_s") },
  latest_event: (table) => `select max(price_at)::varchar from ${facts(table)}`,
  questions,
  charts: [],
  dashboard: {
    start_page: "market",
    value: { noun: "price", unit: "USD" },
    amount: { noun: "traded volume" },
    credit: {
      text: "Data by the sources named beside each price; ranks and market caps by",
      name: "CoinGecko",
      url: "https://www.coingecko.com/",
    },
  },
  api,
};

function exchangeFactory(title: string, source: string, create: () => Producer): ProducerFactory {
  const { ws_url, rest_url, products } = settingNames(source);
  return {
    description: `live trades of ${title}; ${products} selects the products`,
    argument: null,
    settings: [
      {
        subject: `${title} products`,
        variables: [products],
        when_missing: "not set: the largest coins in US dollars",
        remedy:
          `Optional: set ${products} to the exchange's product names, separated by commas; ` +
          `${ws_url} and ${rest_url} select another server.`,
      },
    ],
    create: async () => [create()],
  };
}
