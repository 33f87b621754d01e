import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { pythonExecutable } from "../../../src/lake/tools.ts";
import { openLake, type Lake } from "../lake.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("pyiceberg_client.py", import.meta.url));
const COMMITS = 2_000;
const TABLE = { namespace: ["bronze"], name: "long" };

describe(`engines on a table of ${COMMITS} commits`, () => {
  let lake: Lake;
  let url = "";
  let duckdb: DuckDBInstance;
  let connection: DuckDBConnection;
  let other: DuckDBConnection;

  before(async () => {
    lake = await openLake();
    url = (await lake.serve()).url;
    duckdb = await openDuckDB();
    connection = await duckdb.connect();
    other = await duckdb.connect();
    await attachCatalog(connection, url, "lake");
    await connection.run(
      "create schema lake.bronze; " +
        "create table lake.bronze.long as select range as id, 'from duckdb' as note from range(10)",
    );
    for (let index = 1; index <= COMMITS; index += 1) await commitSameRows(index);
  });
  after(async () => {
    connection.closeSync();
    other.closeSync();
    duckdb.closeSync();
    await lake.close();
  });

  /** Commits a snapshot with the same files as the previous one. */
  async function commitSameRows(index: number): Promise<void> {
    const { metadata } = await lake.catalog.loadTable(TABLE);
    const last = metadata.snapshots.at(-1) ?? assert.fail("no snapshot");
    const id = 2 ** 50 + index;
    const snapshot = {
      ...last,
      "snapshot-id": id,
      "parent-snapshot-id": last["snapshot-id"],
      "sequence-number": Number(last["sequence-number"]) + 1,
    };
    const set_main = { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": id };
    await lake.catalog.commit([
      { identifier: TABLE, requirements: [], updates: [{ action: "add-snapshot", snapshot }, set_main] },
    ]);
  }

  async function rows(sql: string, session = connection): Promise<unknown> {
    return (await session.runAndReadAll(sql)).getRowsJson();
  }
  const count = "select count(*) from lake.bronze.long";

  test("DuckDB lists all snapshots and reads the first and the last", async () => {
    const { metadata, metadata_location } = await lake.catalog.loadTable(TABLE);
    assert.match(metadata_location, /\.gz\.metadata\.json$/);
    assert.deepEqual(await rows("select count(*) from iceberg_snapshots(lake.bronze.long)"), [[String(COMMITS + 1)]]);
    assert.deepEqual(await rows(`${count} at (version => ${metadata.snapshots[0]?.["snapshot-id"]})`), [["10"]]);
    assert.deepEqual(await rows(count), [["10"]]);
  });

  test("DuckDB keeps its snapshot in a transaction during 50 commits of another writer", async () => {
    const [[before_count]] = (await rows(count)) as [[string]];
    await connection.run("begin");
    for (let index = 0; index < 50; index += 1) await other.run("insert into lake.bronze.long values (11, 'later')");
    assert.deepEqual(await rows(count), [[before_count]]);
    await connection.run("commit");
    assert.deepEqual(await rows(count), [[String(Number(before_count) + 50)]]);
  });

  test("DuckDB's transaction commits to a table that no other writer changed, and conflicts otherwise", async () => {
    await connection.run("create table lake.bronze.calm (id bigint)");
    await connection.run("begin; insert into lake.bronze.calm select count(*) from lake.bronze.long");
    await other.run("insert into lake.bronze.long values (12, 'later')");
    await connection.run("insert into lake.bronze.calm select count(*) from lake.bronze.long; commit");
    assert.deepEqual(await rows("select count(distinct id) from lake.bronze.calm"), [["1"]]);
    const [[before_count]] = (await rows(count)) as [[string]];
    await connection.run("begin");
    await other.run("insert into lake.bronze.long values (13, 'later')");
    await connection.run("insert into lake.bronze.long values (14, 'lost')");
    await assert.rejects(connection.run("commit"), /409|[Cc]onflict/);
    assert.deepEqual(await rows(count), [[String(Number(before_count) + 1)]]);
  });

  test(
    "PyIceberg reads the metadata file and appends",
    { skip: existsSync(pythonExecutable()) ? false : "the Python environment is not set up" },
    async () => {
      const [[before_count]] = (await rows(count)) as [[string]];
      const snapshots = (await lake.catalog.loadTable(TABLE)).metadata.snapshots.length;
      const { stdout } = await run(pythonExecutable(), [script, url, "long_history"]);
      const expected = { snapshots, rows: Number(before_count), oldest: 10, after: Number(before_count) + 1 };
      assert.deepEqual(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""), { long_history: expected });
      assert.deepEqual(await rows("select count(*) from lake.bronze.long where note = 'from python'"), [["1"]]);
    },
  );
});
