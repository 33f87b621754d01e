import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { attachCatalog, openDuckDB } from "../../../src/engine/embedded/duckdb.ts";
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

  test("creates a partitioned table, appends, and reads the head and an older snapshot", async () => {
    await connection.run("create table lake.bronze.ticks (coin varchar, price decimal(38, 18), day date) partitioned by (day)");
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
    assert.deepEqual(metadata["partition-specs"].at(-1)?.fields.map((field) => field.transform), ["identity"]);
  });

  test("sets a property in the same commit as rows", async () => {
    await connection.run("create table lake.bronze.offsets (id bigint)");
    await connection.run("begin; insert into lake.bronze.offsets values (1); call set_iceberg_table_properties(lake.bronze.offsets, {'log.offset': '42'}); commit");
    const { metadata } = await load("offsets");
    assert.equal(metadata.properties["log.offset"], "42");
    assert.equal(metadata.snapshots.length, 1);
    assert.equal(metadata["metadata-log"].length, 1);
  });

  test("changes several tables in one transaction, all or none", async () => {
    await connection.run("create table lake.bronze.left_side (id bigint); create table lake.bronze.right_side (id bigint)");
    await connection.run("begin; insert into lake.bronze.left_side values (1); insert into lake.bronze.right_side values (2); commit");
    assert.deepEqual(await rows("select (select id from lake.bronze.left_side), (select id from lake.bronze.right_side)"), [["1", "2"]]);
    const other = await duckdb.connect();
    await connection.run("begin; insert into lake.bronze.left_side values (10); insert into lake.bronze.right_side values (20)");
    await other.run("insert into lake.bronze.right_side values (3)");
    other.closeSync();
    await assert.rejects(connection.run("commit"), /409|[Cc]onflict|Requirement failed/);
    assert.deepEqual(await rows("select id from lake.bronze.left_side"), [["1"]]);
    assert.deepEqual(await rows("select id from lake.bronze.right_side order by id"), [["2"], ["3"]]);
  });

  test("a merge adds two snapshots at once, of which the log shows the one that was ever current", async () => {
    await connection.run("create table lake.bronze.merged as select range as id, 0 as amount from range(10)");
    const before_merge = (await load("merged")).metadata["snapshot-log"].length;
    await connection.run("begin; delete from lake.bronze.merged where id < 5; insert into lake.bronze.merged select range, 1 from range(5); commit");
    const { metadata } = await load("merged");
    assert.equal(metadata["snapshot-log"].length, before_merge + 1);
    assert.equal(metadata["snapshot-log"].at(-1)?.["snapshot-id"], metadata["current-snapshot-id"]);
    assert.deepEqual(await rows("select amount, count(*) from lake.bronze.merged group by 1 order by 1"), [[0, "5"], [1, "5"]]);
  });

  test("evolves the schema, and old rows still read", async () => {
    await connection.run("create table lake.bronze.evolving (id bigint)");
    await connection.run("insert into lake.bronze.evolving values (1)");
    await connection.run("alter table lake.bronze.evolving add column note varchar");
    await connection.run("alter table lake.bronze.evolving rename column id to number");
    await connection.run("insert into lake.bronze.evolving values (2, 'new')");
    assert.deepEqual(await rows("select number, note from lake.bronze.evolving order by number"), [["1", null], ["2", "new"]]);
  });

  test("writes format version 3 with its row ids", async () => {
    await connection.run("create table lake.bronze.third with ('format-version' = '3') as select range as id from range(100)");
    await connection.run("delete from lake.bronze.third where id % 2 = 0");
    await connection.run("insert into lake.bronze.third values (1000)");
    assert.deepEqual(await rows("select count(*), max(id) from lake.bronze.third"), [["51", "1000"]]);
    assert.ok(Number((await load("third")).metadata["next-row-id"]) >= 101);
  });

  test("drops and creates again under the same name, with nothing left of the old table", async () => {
    await connection.run("create table lake.bronze.again as select 1 as id");
    const old_location = (await load("again")).metadata.location;
    await connection.run("drop table lake.bronze.again");
    await connection.run("create table lake.bronze.again as select 2 as id");
    assert.deepEqual(await rows("select id from lake.bronze.again"), [[2]]);
    assert.notEqual((await load("again")).metadata.location, old_location);
  });

  test("creates two tables in one transaction, and neither is there before the commit", async () => {
    await connection.run("begin; create table lake.bronze.one as select 1 as id; create table lake.bronze.two as select 2 as id");
    assert.equal(await lake.catalog.hasTable({ namespace: ["bronze"], name: "one" }), false);
    await connection.run("commit");
    assert.deepEqual(await rows("select o.id, t.id from lake.bronze.one o, lake.bronze.two t"), [[1, 2]]);
  });
});
