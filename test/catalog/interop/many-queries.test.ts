import assert from "node:assert/strict";
import { test } from "node:test";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { manifestInspection } from "../../../src/catalog/inspection.ts";
import { FileStorage } from "../../../src/storage/file/storage.ts";
import { rowsOf } from "../../maintain/lake.ts";
import { openLake } from "../lake.ts";

const TABLES = 12;

test(
  "concurrent queries that wait for the catalog in their own process all complete",
  { timeout: 60_000 },
  async () => {
    const lake = await openLake({ inspect: manifestInspection(new FileStorage(), { recheck_ms: 0 }) });
    const { url } = await lake.serve();
    const instance = await openDuckDB();
    try {
      const connections = await Promise.all(Array.from({ length: TABLES }, () => instance.connect()));
      const [first] = connections;
      assert.ok(first);
      await attachCatalog(first, url, "lake");
      await lake.catalog.createNamespace(["gold"]);
      for (let index = 0; index < TABLES; index += 1)
        await rowsOf(first, `create table lake.gold.t_${index} as select ${index} as id`);
      const answers = await Promise.all(
        connections.map((connection, index) => rowsOf(connection, `select id from lake.gold.t_${index}`)),
      );
      assert.deepEqual(
        answers.map(([row]) => Number(row?.[0])),
        connections.map((_, index) => index),
      );
    } finally {
      instance.closeSync();
      await lake.close();
    }
  },
);
