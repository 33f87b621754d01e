import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";
import type { KnownSubject, SubjectsDefinition } from "../../src/pipeline/definition.ts";

const COINS = "gold.dim_crypto";

/** Recordings name a coin by its pair against the dollar: BTCUSDT, BTC-USD, BTC/USD. */
const PAIR = /^(.{2,}?)[-/]?(?:USDT|USDC|USD)$/;

/**
 * The names by which people mean a coin: id, symbol and name as the dimension has them; for what a recording names,
 * also the coin's symbol and id.
 */
export const coinNames: SubjectsDefinition = {
  noun: "coin",
  table: COINS,
  sql: (table) => `select crypto_id, symbol, name, market_cap_rank, is_delisted from ${table(COINS)} where is_current`,
  known: (row): KnownSubject => {
    const symbol = row["symbol"] ?? "";
    const id = row["crypto_id"] ?? "";
    const base = PAIR.exec(symbol)?.[1];
    // A recording that calls a coin ETH, and says no more, means the coin that exchanges call so.
    const is_recorded = id === symbol.toLowerCase();
    const mapped = is_recorded ? idsBySymbol().get(base ?? symbol) : undefined;
    return {
      id,
      symbol,
      name: row["name"] ?? "",
      other_names: [base, mapped].filter((name) => name !== undefined),
      rank: row["market_cap_rank"] == null ? null : Number(row["market_cap_rank"]),
      is_gone: row["is_delisted"] === "true",
    };
  },
};

let ids_by_symbol: ReadonlyMap<string, string> | null = null;

/** From the seed that maps the exchanges' products; read when a recording's coin is met. */
function idsBySymbol(): ReadonlyMap<string, string> {
  ids_by_symbol ??= new Map(
    readFileSync(join(projectFolder(), "dbt_crypto", "seeds", "crypto_products.csv"), "utf8")
      .split("\n")
      .slice(1)
      .flatMap((line) => {
        const [, , id, symbol] = line.split(",");
        return id === undefined || symbol === undefined ? [] : [[symbol, id] as const];
      }),
  );
  return ids_by_symbol;
}
