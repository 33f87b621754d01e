import type { KnownSubject, SubjectsDefinition } from "../../src/pipeline/definition.ts";

const SALES = "gold.sales_per_minute";

/** Stores are known by the name that their orders carry; the one with the most sales ranks first. */
export const storeNames: SubjectsDefinition = {
  noun: "store",
  plural: "stores",
  table: SALES,
  sql: (table) => `
    select store, row_number() over (order by sum(sales) desc, store) as sales_rank
    from ${table(SALES)} group by store`,
  known: (row): KnownSubject => {
    const store = row["store"] ?? "";
    return {
      id: store,
      symbol: store.toUpperCase(),
      name: store,
      other_names: [],
      rank: Number(row["sales_rank"]),
      is_gone: false,
    };
  },
  listed: () => [],
};
