import { attachCatalog, openDuckDB } from "../../../src/engine/embedded/duckdb.ts";
import type { OpenLake } from "../../../src/engine/open.ts";
import { MODELS } from "../../lake/lake.ts";

export interface Difference {
  table: string;
  rows: [one: number, other: number];
  /** Rows that one of them has and the other has not, the first few of each. */
  only_in_one: unknown[];
  only_in_other: unknown[];
}

/** Compares silver and gold of two lakes, row for row, apart from the columns named; resolves to the tables that differ. */
export async function differencesBetween(one: OpenLake, other: OpenLake, apart_from: readonly string[] = []): Promise<Difference[]> {
  const instance = await openDuckDB({ s3: one.s3 ?? other.s3, memory_limit_mb: 1_000 });
  const connection = await instance.connect();
  const read = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
  try {
    await attachCatalog(connection, one.server.url, "one", { is_read_only: true });
    await attachCatalog(connection, other.server.url, "other", { is_read_only: true });
    const differences: Difference[] = [];
    for (const table of MODELS) {
      const columns = (await read(`describe one.${table}`)).map(({ column_name }) => String(column_name)).filter((name) => !apart_from.includes(name)).join(", ");
      const only = (left: string, right: string) => read(`select ${columns} from ${left}.${table} except all select ${columns} from ${right}.${table} limit 5`);
      const [only_in_one, only_in_other] = [await only("one", "other"), await only("other", "one")];
      const [counts] = await read(`select (select count(*) from one.${table})::int as one, (select count(*) from other.${table})::int as other`);
      const rows: Difference["rows"] = [Number(counts?.["one"]), Number(counts?.["other"])];
      if (only_in_one.length + only_in_other.length > 0 || rows[0] !== rows[1]) differences.push({ table, rows, only_in_one, only_in_other });
    }
    return differences;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
