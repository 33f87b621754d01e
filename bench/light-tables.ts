import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { tableNamed } from "../src/iceberg/errors.ts";
import type { PartitionSpec, Schema } from "../src/iceberg/model.ts";
import { attachCatalog, openDuckDB } from "../src/duckdb/duckdb.ts";
import type { OpenLake } from "../src/lake/open.ts";

/**
 * Tables like those of silver and gold, written by DuckDB without dbt: an increment commits to the eight tables that an
 * increment of dbt changes, in the same way (append, or delete and insert in one transaction), with rows of the same
 * kind. Prices are a function of coin and time, so two lakes that were written at the same times hold the same values.
 */

/** Bounds of an increment as SQL expressions. */
interface Window {
  coins: number;
  /** First minute, hour and day with new rows. */
  minute: string;
  hour: string;
  date: string;
  /** Market steps: the first of the increment, and the one after the last. */
  first: number;
  end: number;
}

interface LightTable {
  columns: Readonly<Record<string, string>>;
  partition_by: string | null;
  /** SQL condition for the rows that the increment replaces; null for an append. */
  replace(window: Window): string | null;
  select(window: Window): string;
}

const DECIMAL = "decimal(38, 18)";
const TIME = "timestamptz";
const ID = "case coin when 0 then 'bitcoin' when 1 then 'ethereum' else 'coin-' || coin end";
const WAVE = "20 * sin(step / 7000.0 + coin)";
const PRICE = `(100 + coin * 3 + ${WAVE} + (hash(coin * 1000003 + step) % 1000) / 500.0)::${DECIMAL}`;
const POSITION = { log_partition: "int", log_offset: "long", element_index: "int" };
/** Columns that, with the log position, order prices of one time. */
const SERIES = { source: "string", product: "string", trade_number: "long" };
const append = (): null => null;

/** Every coin at the first increment; later increments change the rank of one coin at a time. */
const changedCoins = ({ coins, first, end }: Window): string =>
  first === 0 ? `range(${coins}) a(coin)` : `(SELECT ${end % coins} AS coin)`;

const TABLES: Readonly<Record<string, LightTable>> = {
  "silver.crypto_price_updates": {
    columns: {
      crypto_id: "string",
      symbol: "string",
      ...SERIES,
      price: DECIMAL,
      volume_24h: DECIMAL,
      price_at: TIME,
      price_date: "date",
      ...POSITION,
    },
    partition_by: "price_date",
    replace: append,
    select: () => "SELECT * FROM updates ORDER BY price_date, log_offset, element_index",
  },
  "silver.crypto_price_duplicates": {
    columns: { crypto_id: "string", price_at: TIME, price_date: "date", is_conflicting: "boolean", ...POSITION },
    partition_by: "price_date",
    replace: append,
    select: () =>
      "SELECT crypto_id, price_at, price_date, log_partition, log_offset, element_index FROM updates " +
      "WHERE element_index = 0",
  },
  "silver.crypto_prices_rejected": {
    columns: { reason: "string", ingestion_date: "date", ...POSITION },
    partition_by: "ingestion_date",
    replace: append,
    select: () =>
      "SELECT 'no price' AS reason, price_date AS ingestion_date, log_partition, log_offset, 1000 AS element_index " +
      "FROM updates WHERE element_index = 1",
  },
  "silver.crypto_listings": {
    columns: { crypto_id: "string", symbol: "string", market_cap_rank: "int", listed_at: TIME },
    partition_by: null,
    replace: ({ minute }) => `listed_at >= ${minute}`,
    select: ({ minute, end }) =>
      `SELECT DISTINCT crypto_id, symbol, (1 + (element_index + ${end}) % 97)::int AS market_cap_rank, ` +
      `${minute} AS listed_at FROM updates`,
  },
  "silver.crypto_prices_clean": {
    columns: {
      crypto_id: "string",
      symbol: "string",
      minute_at: TIME,
      price: DECIMAL,
      price_high: DECIMAL,
      price_low: DECIMAL,
      price_updates: "int",
      price_date: "date",
    },
    partition_by: "price_date",
    replace: ({ minute, date }) => `minute_at >= ${minute} AND price_date >= ${date}`,
    select: ({ minute, date }) =>
      `SELECT crypto_id, any_value(symbol) AS symbol, date_trunc('minute', price_at) AS minute_at,
        arg_max(price, price_at) AS price, max(price) AS price_high, min(price) AS price_low,
        count(*)::int AS price_updates, price_date
      FROM lake.silver.crypto_price_updates WHERE price_at >= ${minute} AND price_date >= ${date}
      GROUP BY ALL ORDER BY price_date, crypto_id, minute_at`,
  },
  "gold.fact_crypto_ticks": {
    columns: {
      crypto_id: "string",
      price_usd: DECIMAL,
      volume_24h: DECIMAL,
      traded_volume_usd: DECIMAL,
      price_at: TIME,
      price_date: "date",
      ...SERIES,
      ...POSITION,
    },
    partition_by: "price_date",
    replace: append,
    select: () =>
      `SELECT crypto_id, price AS price_usd, volume_24h, price_at, price_date, source, log_partition, log_offset,
        element_index
      FROM updates ORDER BY price_date, log_offset, element_index`,
  },
  "gold.fact_crypto_hourly": {
    columns: {
      crypto_id: "string",
      hour_at: TIME,
      open: DECIMAL,
      high: DECIMAL,
      low: DECIMAL,
      close: DECIMAL,
      total_volume: DECIMAL,
      price_updates: "int",
      hour_date: "date",
    },
    partition_by: "hour_date",
    replace: ({ hour, date }) => `hour_at >= ${hour} AND hour_date >= ${date}`,
    select: ({ hour, date }) =>
      `SELECT crypto_id, date_trunc('hour', minute_at) AS hour_at, arg_min(price, minute_at) AS open,
        max(price_high) AS high, min(price_low) AS low, arg_max(price, minute_at) AS close,
        sum(price_updates)::int AS price_updates, price_date AS hour_date
      FROM lake.silver.crypto_prices_clean WHERE minute_at >= ${hour} AND price_date >= ${date}
      GROUP BY ALL ORDER BY hour_date, crypto_id, hour_at`,
  },
  "gold.dim_crypto": {
    columns: {
      crypto_id: "string",
      symbol: "string",
      name: "string",
      market_cap_rank: "int",
      valid_from: TIME,
      valid_to: TIME,
      is_current: "boolean",
      is_delisted: "boolean",
    },
    partition_by: null,
    replace: (window) => `crypto_id IN (SELECT ${ID} FROM ${changedCoins(window)})`,
    select: (window) =>
      `SELECT ${ID} AS crypto_id, 'C' || coin AS symbol, 'Coin ' || coin AS name,
        (1 + (coin + ${window.end}) % 97)::int AS market_cap_rank, timestamptz '2020-01-01T00:00:00Z' AS valid_from,
        true AS is_current, false AS is_delisted
      FROM ${changedCoins(window)}`,
  },
};

export const LIGHT_TABLES: readonly string[] = Object.keys(TABLES);

export interface LightMarket {
  coins: number;
  interval_ms: number;
  start_us: number;
  /** Tables of LIGHT_TABLES to write; a table must include those that it is computed from. */
  tables: readonly string[];
}

export class LightTables {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #market: LightMarket;
  /** First step of the market that the tables lack. */
  #written = 0;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, market: LightMarket) {
    this.#instance = instance;
    this.#connection = connection;
    this.#market = market;
  }

  /** Creates the tables of an empty lake. */
  static async create({ catalog, server }: OpenLake, market: LightMarket): Promise<LightTables> {
    for (const layer of ["silver", "gold"]) await catalog.createNamespace([layer]);
    for (const table of market.tables) {
      const { columns, partition_by } = tableOf(table);
      const partition_spec = partition_by === null ? {} : { partition_spec: specOf(columns, partition_by) };
      await catalog.createTable({
        identifier: tableNamed(table),
        schema: schemaOf(columns),
        properties: { "format-version": "2" },
        ...partition_spec,
      });
    }
    const instance = await openDuckDB();
    const connection = await instance.connect();
    await attachCatalog(connection, server.url, "lake");
    return new LightTables(instance, connection, market);
  }

  /** Runs one increment over the prices up to `until_us`, with one commit to each table. */
  async increment(until_us: number): Promise<void> {
    const { coins, interval_ms, start_us, tables } = this.#market;
    const step_us = interval_ms * 1000;
    const [first, end] = [this.#written, Math.floor((until_us - start_us) / step_us)];
    if (end === first) return;
    const at = (step: number | string): string => `make_timestamptz(${start_us} + ${step}::bigint * ${step_us})`;
    const window: Window = {
      coins,
      first,
      end,
      minute: `date_trunc('minute', ${at(first)})`,
      hour: `date_trunc('hour', ${at(first)})`,
      date: `${at(first)}::date`,
    };
    await this.#connection.run(`CREATE OR REPLACE TEMP TABLE updates AS
      SELECT ${ID} AS crypto_id, 'C' || coin AS symbol, 'bench' AS source, ${PRICE} AS price,
        (1000000 + coin)::${DECIMAL} AS volume_24h, ${at("step")} AS price_at, ${at("step")}::date AS price_date,
        0 AS log_partition, step AS log_offset, coin::int AS element_index
      FROM range(${coins}) a(coin), range(${first}, ${end}) b(step)`);
    for (const table of tables) await this.#write(table, window);
    this.#written = end;
  }

  async #write(table: string, window: Window): Promise<void> {
    const { replace, select } = tableOf(table);
    const where = replace(window);
    const insert = `INSERT INTO lake.${table} BY NAME`;
    if (where === null) return void (await this.#connection.run(`${insert} ${select(window)}`));
    await this.#connection.run(`CREATE OR REPLACE TEMP TABLE replacement AS ${select(window)}`);
    await this.#connection.run(`BEGIN; DELETE FROM lake.${table} WHERE ${where}; ${insert} FROM replacement; COMMIT`);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

function tableOf(name: string): LightTable {
  const table = TABLES[name];
  if (table === undefined) throw new TypeError(`there is no light table ${name}`);
  return table;
}

function schemaOf(columns: LightTable["columns"]): Schema {
  return {
    type: "struct",
    fields: Object.entries(columns).map(([name, type], index) => ({ id: index + 1, name, required: false, type })),
  };
}

function specOf(columns: LightTable["columns"], partition_by: string): PartitionSpec {
  return {
    fields: [
      {
        name: partition_by,
        transform: "identity",
        "source-id": Object.keys(columns).indexOf(partition_by) + 1,
        "field-id": 1000,
      },
    ],
  };
}
