import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { pathOfLocation } from "../../../src/storage/file/location.ts";
import { openLake, type Lake } from "../lake.ts";

describe("DuckDB on the catalog", () => {
  let lake: Lake;
  let duckdb: DuckDBInstance;
  let connection: DuckDBConnection;

  before(async () => {
    lake = await openLake();
    duckdb = await openDuckDB();
    connection = await duckdb.connect();
    await attachCatalog(connection, (await lake.serve()).url, "lake");
    await connection.run("create schema lake.bronze");
  });
  after(async () => {
    connection.closeSync();
    duckdb.closeSync();
    await lake.close();
  });

  async function rows(sql: string): Promise<unknown[][]> {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  }
  const load = (name: string) => lake.catalog.loadTable({ namespace: ["bronze"], name });

  test("creates a partitioned table, appends, and reads the current and an older snapshot", async () => {
    await connection.run(
      "create table lake.bronze.ticks (coin varchar, price decimal(38, 18), day date) partitioned by (day)",
    );
    await connection.run("insert into lake.bronze.ticks values ('bitcoin', 0.000000001, date '2025-10-10')");
    const first = (await load("ticks")).metadata["current-snapshot-id"];
    await connection.run("insert into lake.bronze.ticks values ('ether', 1000000, date '2025-10-11')");
    assert.deepEqual(await rows("select coin, price::varchar from lake.bronze.ticks order by coin"), [
      ["bitcoin", "0.000000001000000000"],
      ["ether", "1000000.000000000000000000"],
    ]);
    assert.deepEqual(await rows(`select coin from lake.bronze.ticks at (version => ${first})`), [["bitcoin"]]);
    const { metadata } = await load("ticks");
    assert.equal(metadata.snapshots.length, 2);
    assert.deepEqual(
      metadata["partition-specs"].at(-1)?.fields.map((field) => field.transform),
      ["identity"],
    );
  });

  test("sets a property in the same commit as rows", async () => {
    await connection.run("create table lake.bronze.offsets (id bigint)");
    await connection.run(
      "begin; insert into lake.bronze.offsets values (1); " +
        "call set_iceberg_table_properties(lake.bronze.offsets, {'log.offset': '42'}); commit",
    );
    const { metadata } = await load("offsets");
    assert.equal(metadata.properties["log.offset"], "42");
    assert.equal(metadata.snapshots.length, 1);
    assert.equal(metadata["metadata-log"].length, 1);
  });

  test("changes several tables atomically in one transaction", async () => {
    await connection.run(
      "create table lake.bronze.left_side (id bigint); create table lake.bronze.right_side (id bigint)",
    );
    await connection.run(
      "begin; insert into lake.bronze.left_side values (1); insert into lake.bronze.right_side values (2); commit",
    );
    assert.deepEqual(
      await rows("select (select id from lake.bronze.left_side), (select id from lake.bronze.right_side)"),
      [["1", "2"]],
    );
    const other = await duckdb.connect();
    await connection.run(
      "begin; insert into lake.bronze.left_side values (10); insert into lake.bronze.right_side values (20)",
    );
    await other.run("insert into lake.bronze.right_side values (3)");
    other.closeSync();
    await assert.rejects(connection.run("commit"), /409|[Cc]onflict|Requirement failed/);
    assert.deepEqual(await rows("select id from lake.bronze.left_side"), [["1"]]);
    assert.deepEqual(await rows("select id from lake.bronze.right_side order by id"), [["2"], ["3"]]);
  });

  test("commits deletes, inserts and a property as one snapshot with a joint summary", async (test_context) => {
    await connection.run("create table lake.bronze.increments as select range as id, 0 as amount from range(10)");
    const increment = (rows: number, amount: number) =>
      connection.run(
        `begin; delete from lake.bronze.increments where id < ${rows};
         insert into lake.bronze.increments select range, ${amount} from range(${rows});
         call set_iceberg_table_properties(lake.bronze.increments, {'log.offset': '${amount}'}); commit`,
      );
    await increment(5, 1);
    await increment(2, 2);
    await connection.run("insert into lake.bronze.increments values (10, 3)");
    assert.deepEqual(await rows("select amount, count(*) from lake.bronze.increments group by 1 order by 1"), [
      [0, "5"],
      [1, "3"],
      [2, "2"],
      [3, "1"],
    ]);
    const { metadata } = await load("increments");
    assert.deepEqual(
      metadata.snapshots.map(({ summary }) => summary["operation"]),
      ["append", "overwrite", "overwrite", "append"],
    );
    assert.deepEqual(
      metadata["snapshot-log"].map((entry) => entry["snapshot-id"]),
      metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]),
    );
    assert.equal(metadata.properties["log.offset"], "2");
    const { summary } = metadata.snapshots[2] ?? assert.fail();
    assert.deepEqual(
      ["added-records", "added-position-deletes", "total-records", "total-position-deletes"].map(
        (name) => summary[name],
      ),
      ["2", "2", "17", "7"],
    );
    await test_context.waitFor(async () => {
      const lists = (await readdir(pathOfLocation(`${metadata.location}/metadata`))).filter((name) =>
        name.startsWith("snap-"),
      );
      assert.equal(lists.length, metadata.snapshots.length, "no list of a snapshot that is not there");
    });
  });

  test("reads at every version the state of the table after one increment", async () => {
    const { metadata } = await load("increments");
    for (const [index, expected] of [
      [[0, "10"]],
      [
        [0, "5"],
        [1, "5"],
      ],
      [
        [0, "5"],
        [1, "3"],
        [2, "2"],
      ],
    ].entries()) {
      const version = metadata.snapshots[index]?.["snapshot-id"];
      assert.deepEqual(
        await rows(
          `select amount, count(*) from lake.bronze.increments at (version => ${version}) group by 1 order by 1`,
        ),
        expected,
      );
    }
    assert.deepEqual(await rows("select count(*) from iceberg_snapshots(lake.bronze.increments)"), [["4"]]);
  });

  test("reads the older state in a transaction that began before another connection's increment", async () => {
    const other = await duckdb.connect();
    await other.run("begin");
    const countIn = async (session: DuckDBConnection) =>
      (await session.runAndReadAll("select max(amount) from lake.bronze.increments")).getRowsJson();
    await connection.run(
      "begin; delete from lake.bronze.increments where id = 1; insert into lake.bronze.increments values (1, 50)",
    );
    assert.deepEqual(await countIn(connection), [[50]]);
    await connection.run("commit");
    assert.deepEqual(await countIn(other), [[3]]);
    await other.run("commit");
    assert.deepEqual(await countIn(other), [[50]]);
    other.closeSync();
    await connection.run(
      "begin; delete from lake.bronze.increments where id = 1; " +
        "insert into lake.bronze.increments values (1, 60); commit",
    );
    assert.deepEqual(await countIn(connection), [[60]]);
  });

  test("evolves the schema and still reads old rows", async () => {
    await connection.run("create table lake.bronze.evolving (id bigint)");
    await connection.run("insert into lake.bronze.evolving values (1)");
    await connection.run("alter table lake.bronze.evolving add column note varchar");
    await connection.run("alter table lake.bronze.evolving rename column id to number");
    await connection.run("insert into lake.bronze.evolving values (2, 'new')");
    assert.deepEqual(await rows("select number, note from lake.bronze.evolving order by number"), [
      ["1", null],
      ["2", "new"],
    ]);
  });

  test("writes format version 3 with row ids", async () => {
    await connection.run(
      "create table lake.bronze.third with ('format-version' = '3') as select range as id from range(100)",
    );
    await connection.run("delete from lake.bronze.third where id % 2 = 0");
    await connection.run("insert into lake.bronze.third values (1000)");
    assert.deepEqual(await rows("select count(*), max(id) from lake.bronze.third"), [["51", "1000"]]);
    assert.ok(Number((await load("third")).metadata["next-row-id"]) >= 101);
    const before_increment = (await load("third")).metadata.snapshots.length;
    await connection.run(
      "begin; delete from lake.bronze.third where id = 1; insert into lake.bronze.third values (1), (2000); commit",
    );
    assert.deepEqual(await rows("select count(*), max(id) from lake.bronze.third"), [["52", "2000"]]);
    assert.equal((await load("third")).metadata.snapshots.length, before_increment + 1);
  });

  test("recreates a dropped table in a new folder without the old rows", async () => {
    await connection.run("create table lake.bronze.again as select 1 as id");
    const old_location = (await load("again")).metadata.location;
    await connection.run("drop table lake.bronze.again");
    await connection.run("create table lake.bronze.again as select 2 as id");
    assert.deepEqual(await rows("select id from lake.bronze.again"), [[2]]);
    assert.notEqual((await load("again")).metadata.location, old_location);
  });

  test("creates two tables in one transaction, and neither exists before the commit", async () => {
    await connection.run(
      "begin; create table lake.bronze.one as select 1 as id; create table lake.bronze.two as select 2 as id",
    );
    assert.equal(await lake.catalog.hasTable({ namespace: ["bronze"], name: "one" }), false);
    await connection.run("commit");
    assert.deepEqual(await rows("select o.id, t.id from lake.bronze.one o, lake.bronze.two t"), [[1, 2]]);
  });
});
