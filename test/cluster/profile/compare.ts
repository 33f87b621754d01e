import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import type { OpenLake } from "../../../src/lake/open.ts";
import { MODELS } from "../../dbt/lake.ts";

export interface Difference {
  table: string;
  rows: [one: number, other: number];
  /** Rows that only one of the lakes has; the first few of each. */
  only_in_one: unknown[];
  only_in_other: unknown[];
}

const REJECTED = "silver.crypto_prices_rejected";
const SHOWN = 5;

/** A rejected element as JSON by value: DuckDB reformats numbers (0.50 becomes 0.5), Spark does not. */
function canonical(row: Record<string, unknown>): string {
  return JSON.stringify({ ...row, element: parsed(String(row["element"])) });
}

function parsed(element: string): unknown {
  try {
    return JSON.parse(element);
  } catch {
    return element;
  }
}

function onlyIn(one: readonly string[], other: readonly string[]): Pick<Difference, "only_in_one" | "only_in_other"> {
  const [in_one, in_other] = [new Set(one), new Set(other)];
  return {
    only_in_one: one.filter((row) => !in_other.has(row)).slice(0, SHOWN),
    only_in_other: other.filter((row) => !in_one.has(row)).slice(0, SHOWN),
  };
}

/**
 * Compares silver and gold of two lakes row by row, except for the named columns; resolves to the tables that differ.
 */
export async function differencesBetween(
  one: OpenLake,
  other: OpenLake,
  apart_from: readonly string[] = [],
): Promise<Difference[]> {
  const instance = await openDuckDB({ s3: one.s3 ?? other.s3, memory_limit_mb: 1_000 });
  const connection = await instance.connect();
  const read = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
  try {
    await attachCatalog(connection, one.server.url, "one", { is_read_only: true });
    await attachCatalog(connection, other.server.url, "other", { is_read_only: true });
    const differences: Difference[] = [];
    for (const table of MODELS) {
      if (table === REJECTED && !apart_from.includes("element")) {
        const elements = await Promise.all(
          ["one", "other"].map(async (lake) => (await read(`select * from ${lake}.${table}`)).map(canonical).sort()),
        );
        if (JSON.stringify(elements[0]) !== JSON.stringify(elements[1]))
          differences.push({
            table,
            rows: [elements[0]?.length ?? 0, elements[1]?.length ?? 0],
            ...onlyIn(elements[0] ?? [], elements[1] ?? []),
          });
        continue;
      }
      const columns = (await read(`describe one.${table}`))
        .map(({ column_name }) => String(column_name))
        .filter((name) => !apart_from.includes(name))
        .join(", ");
      const only = (left: string, right: string) =>
        read(`select ${columns} from ${left}.${table} except all select ${columns} from ${right}.${table} limit 5`);
      const [only_in_one, only_in_other] = [await only("one", "other"), await only("other", "one")];
      const [counts] = await read(
        `select (select count(*) from one.${table})::int as one, (select count(*) from other.${table})::int as other`,
      );
      const rows: Difference["rows"] = [Number(counts?.["one"]), Number(counts?.["other"])];
      if (only_in_one.length + only_in_other.length > 0 || rows[0] !== rows[1])
        differences.push({ table, rows, only_in_one, only_in_other });
    }
    return differences;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
