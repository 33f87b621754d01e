import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";
import type { KnownSubject, SubjectsDefinition } from "../../src/pipeline/definition.ts";

const COINS = "gold.dim_crypto";

/** Recordings name a coin by its pair against the dollar: BTCUSDT, BTC-USD, BTC/USD. */
const PAIR = /^(.{2,}?)[-/]?(?:USDT|USDC|USD)$/;

/**
 * Names of a coin for lookup: id, symbol and name of the dimension; for a recorded pair, also its coin's symbol and id.
 */
export const coinNames: SubjectsDefinition = {
  noun: "coin",
  plural: "coins",
  table: COINS,
  sql: (table) => `select crypto_id, symbol, name, market_cap_rank, is_delisted from ${table(COINS)} where is_current`,
  known: (row): KnownSubject => {
    const symbol = row["symbol"] ?? "";
    const id = row["crypto_id"] ?? "";
    const name = row["name"] ?? "";
    const is_gone = row["is_delisted"] === "true";
    // A coin whose symbol and name equal its id comes from a recording; ETH there is the exchanges' ETH.
    const is_recorded = id === symbol.toLowerCase() && name === id.toUpperCase();
    const base = is_recorded || id.includes(":") ? PAIR.exec(symbol)?.[1] : undefined;
    const mapped = is_recorded ? idsBySymbol().get(base ?? symbol) : undefined;
    return {
      id,
      symbol,
      name,
      other_names: [base, mapped].filter((name) => name !== undefined),
      // A delisted coin keeps its last rank in the table, which another coin has now.
      rank: is_gone || row["market_cap_rank"] == null ? null : Number(row["market_cap_rank"]),
      is_gone,
    };
  },
  listed: () =>
    [...new Map(listedCoins().map((coin) => [coin.id, coin])).values()].map(({ id, symbol }) => ({
      id,
      symbol,
      name: id,
      other_names: [],
      rank: null,
      is_gone: false,
    })),
};

interface ListedCoin {
  id: string;
  symbol: string;
}

let listed: readonly ListedCoin[] | null = null;

/** The coins of the seed that maps the exchanges' products; read on first use. */
function listedCoins(): readonly ListedCoin[] {
  listed ??= readFileSync(join(projectFolder(), "dbt_crypto", "seeds", "crypto_products.csv"), "utf8")
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, , id, symbol] = line.split(",");
      return id === undefined || symbol === undefined ? [] : [{ id, symbol }];
    });
  return listed;
}

function idsBySymbol(): ReadonlyMap<string, string> {
  return new Map(listedCoins().map(({ id, symbol }) => [symbol, id]));
}
