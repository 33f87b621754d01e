import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { projectFolder, toolsFolder } from "../../src/lake/tools.ts";
import { coinlake } from "../support/coinlake.ts";
import { BRONZE, Lakes, MODELS, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";
import { assertReadersAgree, python, type Place } from "./readers.ts";

describe("a lake read by other engines", () => {
  let lakes: Lakes;
  let lake: TestLake;
  let url = "";

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    url = lake.open.server.url;
    const stream = await marketStream(5);
    for (const part of [stream.slice(0, 100), stream.slice(100)]) {
      await lake.append(part);
      await lake.ingest();
      await lake.increment();
    }
  });
  after(() => lakes.close());

  async function snapshotIds(table: string): Promise<string[]> {
    const [layer = "", name = ""] = table.split(".");
    const { metadata } = await lake.open.catalog.loadTable({ namespace: [layer], name });
    return metadata["snapshot-log"].map((entry) => String(entry["snapshot-id"]));
  }

  test("PyIceberg and DuckDB read the same as Coinlake from every table, at every snapshot", async () => {
    const places: Place[] = [];
    for (const table of [BRONZE, ...MODELS]) {
      const ids = await snapshotIds(table);
      assert.ok(ids.length >= 2, `${table} has an older snapshot`);
      places.push([table, null], ...ids.slice(0, -1).map((id): Place => [table, id]));
    }
    const found = await assertReadersAgree(lake.session, url, places);
    for (const [index, [table, snapshot_id]] of places.entries()) {
      if (snapshot_id === null)
        assert.ok((found[index]?.rows ?? 0) > (found[index + 1]?.rows ?? 0), `${table} has grown`);
    }
  });

  test("Coinlake reads a table that PyIceberg wrote, at present and in time travel", async () => {
    const write = (coin: string) => `
import pyarrow as pa
from pyiceberg.catalog import load_catalog
lake = load_catalog("coinlake", type="rest", uri="${url}")
rows = pa.table({"crypto_id": ["${coin}"], "rating": pa.array([1.5], pa.float64())})
table = lake.create_table_if_not_exists("gold.ratings", rows.schema)
table.append(rows)
print(table.current_snapshot().timestamp_ms)`;
    const first_ms = Number(await python(["-c", write("bitcoin")]));
    await python(["-c", write("ethereum")]);
    const sql =
      "select rating::varchar, f.crypto_id from gold.ratings as r " +
      "join (select distinct crypto_id from gold.fact_crypto_ticks) as f using (crypto_id)";
    assert.deepEqual(await lake.rows(`${sql} order by 2`), [
      ["1.5", "bitcoin"],
      ["1.5", "ethereum"],
    ]);

    const at = new Date(first_ms).toISOString();
    const { code, stdout, stderr } = await coinlake(["query", sql, "--at", at, "--json", "--data", lake.data_folder]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), [{ "CAST(rating AS VARCHAR)": "1.5", crypto_id: "bitcoin" }]);
    await lake.reconcile();
  });

  describe("as docs/operations/connect.md documents", () => {
    const page = readFileSync(join(projectFolder(), "docs", "operations", "connect.md"), "utf8");

    /** The page's code in a language, with this lake's address in place of the catalog's default address. */
    function printed(language: string): string {
      const blocks = [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(
        ([, of, code]) => of === language && code?.includes("http://127.0.0.1:8181"),
      );
      assert.equal(blocks.length, 1, `the page shows ${language} once`);
      return blocks[0]?.[2]?.replaceAll("http://127.0.0.1:8181", url) ?? "";
    }

    test("DuckDB attaches and reads", async () => {
      // The machine has the extension files already, so DuckDB must not download them.
      const sql = printed("sql").replace("INSTALL iceberg; ", "");
      const program = `
import duckdb, sys
connection = duckdb.connect(config={"extension_directory": sys.argv[1], "autoinstall_known_extensions": "false"})
print(connection.execute(sys.stdin.read()).to_arrow_table().num_rows)`;
      assert.equal(Number(await python(["-c", program, join(toolsFolder(), "duckdb")], sql)), 5);
    });

    test("PyIceberg loads and reads", async () => {
      const stdout = await python(["-"], printed("python"));
      for (const column of ["crypto_id", "open", "close", "hour_at"])
        assert.match(stdout, new RegExp(`^${column}: `, "m"));
    });
  });
});
