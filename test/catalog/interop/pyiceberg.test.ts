import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { pythonExecutable } from "../../../src/lake/tools.ts";
import { FileStorage } from "../../../src/storage/file/storage.ts";
import { openLake, type Lake } from "../lake.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("pyiceberg_client.py", import.meta.url));
const skip = existsSync(pythonExecutable()) ? false : "the Python environment is not set up";

describe("PyIceberg on the catalog", { skip }, () => {
  let lake: Lake;
  let url = "";
  /** Results of the script by case: one process runs all cases, because Python takes seconds to start. */
  let results: Record<string, unknown> = {};
  before(async () => {
    lake = await openLake();
    url = (await lake.serve()).url;
    results = await python("life_of_a_table", "errors", "nested_types", "purge", "staged", "overwrite");
  });
  after(() => lake.close());

  async function python(...cases: string[]): Promise<Record<string, unknown>> {
    const { stdout } = await run(pythonExecutable(), [script, url, ...cases]);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
  }

  test("creates, appends to, time-travels, evolves, tags, deletes from and renames a table", async () => {
    const bitcoin = ["bitcoin", "0.000000001000000000", "2025-10-10"];
    const ether = ["ether", "1000000.000000000000000000", "2025-10-11"];
    assert.deepEqual(results["life_of_a_table"], {
      head: [bitcoin, ether],
      older: [bitcoin],
      properties: { owner: "test" },
      after_delete: [ether],
      at_tag: [bitcoin],
      columns: ["coin", "price", "price_date", "note"],
      tables: [["pyiceberg", "renamed"]],
      exists: [false, true],
    });
  });

  test("maps each of the catalog's errors to its own exception", async () => {
    assert.deepEqual(results["errors"], [
      "NoSuchTableError",
      "TableAlreadyExistsError",
      "NamespaceNotEmptyError",
      "CommitFailedException",
    ]);
  });

  test("reads nested columns by the ids that the catalog assigned, and purges a table with its files", async () => {
    const { rows, location } = results["nested_types"] as { rows: unknown; location: string };
    assert.deepEqual(rows, [{ id: 1, places: [{ name: "a" }, { name: "b" }] }]);
    assert.deepEqual(results["purge"], [["pyiceberg", "renamed"]]);
    for await (const file of new FileStorage().list(location)) assert.fail(`${file.location} is left`);
  });

  test("creates and fills a table in one transaction", async () => {
    assert.deepEqual(results["staged"], [["tether", "1.000000000000000000", "2025-10-12"]]);
  });

  test("overwrites whole files and parts of them, and reads each snapshot of the history correctly", async () => {
    assert.deepEqual(results["overwrite"], [
      [1, 2, 3],
      [4, 5],
      [5, 40],
    ]);
    const { metadata } = await lake.catalog.loadTable({ namespace: ["pyiceberg"], name: "overwritten" });
    assert.equal(
      metadata.snapshots.length,
      5,
      "removed files are named by the lists of the snapshots that removed them",
    );
  });

  test("reads every snapshot of DuckDB's transactions of deletes and inserts, never a partial one", async () => {
    const duckdb = await openDuckDB();
    const connection = await duckdb.connect();
    try {
      await attachCatalog(connection, url, "lake");
      await connection.run(
        "create schema lake.bronze; create table lake.bronze.increments as select range as id from range(10)",
      );
      for (const rows of [5, 3]) {
        await connection.run(
          `begin; delete from lake.bronze.increments where id < ${rows}; ` +
            `insert into lake.bronze.increments select range from range(${rows}); commit`,
        );
      }
      assert.deepEqual(await python("read_versions"), { read_versions: { rows: [10, 10, 10], parents: [null, 0, 1] } });
    } finally {
      connection.closeSync();
      duckdb.closeSync();
    }
  });

  test("reads every snapshot that DuckDB wrote, and DuckDB reads the rows that PyIceberg appends", async () => {
    const duckdb = await openDuckDB();
    const connection = await duckdb.connect();
    try {
      await attachCatalog(connection, url, "lake");
      await connection.run("create schema lake.duck; create table lake.duck.ticks (id bigint, coin varchar)");
      for (const from of [0, 10, 20])
        await connection.run(
          `insert into lake.duck.ticks select range, 'from duckdb' from range(${from}, ${from + 10})`,
        );
      assert.deepEqual(await python("read_by_duckdb_written"), { read_by_duckdb_written: [10, 20, 30] });
      const read = await connection.runAndReadAll(
        "select coin, count(*)::int from lake.duck.ticks group by coin order by coin",
      );
      assert.deepEqual(read.getRowsJson(), [
        ["from duckdb", 30],
        ["from python", 1],
      ]);
    } finally {
      connection.closeSync();
      duckdb.closeSync();
    }
  });
});
