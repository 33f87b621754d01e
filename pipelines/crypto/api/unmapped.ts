import type { z } from "@hono/zod-openapi";
import type { ApiResource } from "../../../src/pipeline/definition.ts";
import { pageOfList } from "../../../src/serve/cursor.ts";
import { PageQuery } from "../../../src/serve/schemas/values.ts";
import { time } from "./figures.ts";
import { UnmappedProducts } from "./schemas.ts";

export const unmapped: ApiResource = {
  path: "unmapped",
  summary: "Products without a mapping to a coin; each counts as a separate coin",
  query: PageQuery,
  response: UnmappedProducts,
  fresh_ms: 5_000,
  async answer({ query }, tables) {
    const { limit, cursor } = query as z.output<typeof PageQuery>;
    const found = await tables.rows(`
      select source, product, min(price_at) as first_at, max(price_at) as last_at, count(*) as updates
      from ${tables.table("silver.crypto_price_updates")}
      where not is_mapped and product is not null
      group by source, product order by updates desc, source, product`);
    const items = found.map((row) => ({
      source: row["source"],
      product: row["product"],
      first_at: time(row["first_at"] ?? ""),
      last_at: time(row["last_at"] ?? ""),
      updates: Number(row["updates"]),
    }));
    return pageOfList(items, limit, cursor);
  },
};
