import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { readRows } from "../../src/duckdb/read.ts";

const ENDLESS = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t";

describe("reading rows", () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  before(async () => {
    instance = await openDuckDB();
    connection = await instance.connect();
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  test(
    "cancels a query at any moment of its start, and leaves the connection usable",
    { timeout: 60_000 },
    async () => {
      // DuckDB forgets an interrupt between its preparation of a query and the first work on it.
      for (let attempt = 0; attempt < 60; attempt += 1) {
        const leaving = new AbortController();
        const reading = readRows(connection, ENDLESS, { signal: leaving.signal });
        for (let turn = 0; turn < attempt % 6; turn += 1) await setImmediate();
        leaving.abort();
        await assert.rejects(reading, { code: "QUERY_CANCELLED" });
      }
      assert.deepEqual((await readRows(connection, "select 1")).rows, [["1"]]);
    },
  );
});
