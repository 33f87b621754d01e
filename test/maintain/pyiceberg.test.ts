import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { compactTable } from "../../src/maintain/compact.ts";
import { expireTable } from "../../src/maintain/expire.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { commitDeletes } from "./foreign.ts";
import {
  assertNothingDangles,
  identifierOf,
  locationsOf,
  openMaintainedLake,
  valuesOf,
  withValuesKept,
  type MaintainedLake,
} from "./lake.ts";
import { startPyIceberg, type PyIceberg } from "./pyiceberg.ts";

interface Inspected {
  files: [content: number, rows: number][];
  entries: [status: number, rows: number][];
  history: boolean[];
  snapshots: string[];
  manifests: number;
  partitions: number;
}

describe("PyIceberg on maintained tables", () => {
  let lake: MaintainedLake;
  let pyiceberg: PyIceberg;
  before(async () => {
    lake = await openMaintainedLake();
    pyiceberg = startPyIceberg(lake.url);
  });
  after(async () => {
    await pyiceberg.close();
    await lake.close();
  });

  const compact = (table: string) => compactTable(lake.parts(), identifierOf(table));
  const expire = (table: string) => expireTable(lake.parts(), identifierOf(table), { policy: keepWithin(0) });

  async function read(table: string, snapshot_id: string | null = null): Promise<string[]> {
    return (await pyiceberg.call<string[][]>("read", { table, snapshot_id })).map((row) => JSON.stringify(row)).sort();
  }

  async function assertAgreement(table: string): Promise<void> {
    assert.deepEqual(await read(table), await valuesOf(lake, table), table);
    for (const snapshot of (await lake.load(table)).metadata.snapshots) {
      const id = String(snapshot["snapshot-id"]);
      assert.deepEqual(await read(table, id), await valuesOf(lake, table, snapshot), `${table} at ${id}`);
    }
  }

  /** A table with ids and notes that DuckDB wrote, partitioned by day, with deletes. */
  async function tableOf(name: string): Promise<string> {
    const table = `gold.${name}`;
    await lake.sql(`create table lake.${table} (id bigint, note varchar, day date)`);
    await lake.sql(`alter table lake.${table} set partitioned by (day)`);
    for (let from = 0; from < 64; from += 8) {
      await lake.sql(
        `insert into lake.${table} select i, 'note ' || i, date '2025-10-10' + (i % 2)::int ` +
          `from range(${from}, ${from + 8}) t(i)`,
      );
    }
    await lake.sql(`delete from lake.${table} where id % 10 = 3`);
    return table;
  }

  test("reads values, files, entries and history after compaction and after expiry", async () => {
    const table = await tableOf("read");
    await compact(table);
    await assertAgreement(table);
    const compacted = await pyiceberg.call<Inspected>("inspect", { table });
    assert.deepEqual(
      compacted.files,
      [
        [0, 25],
        [0, 32],
      ],
      "a file for each day, and no deletes",
    );
    assert.equal(compacted.snapshots.at(-1), "replace");
    await expire(table);
    await assertAgreement(table);
    const expired = await pyiceberg.call<Inspected>("inspect", { table });
    assert.deepEqual([expired.history.length, expired.snapshots, expired.partitions], [1, ["replace"], 2]);
    assert.ok(expired.entries.length > 0 && expired.manifests > 0);
  });

  test("reads entries of files that compaction did not rewrite and that have no column sizes", async () => {
    const table = await tableOf("left_alone");
    await lake.sql(`insert into lake.${table} select i, 'many', date '2025-10-12' from range(1000, 3000) t(i)`);
    await compact(table);
    const { files, entries } = await pyiceberg.call<Inspected>("inspect", { table });
    assert.equal(files.length, 3);
    assert.ok(entries.length >= 3);
  });

  test("appends and deletes after a compaction, and the next compaction includes its files", async () => {
    const table = await tableOf("written");
    await compact(table);
    for (let id = 100; id < 110; id += 1) await pyiceberg.call("append", { table, ids: [id], note: ["by PyIceberg"] });
    await pyiceberg.call("delete", { table, where: "id in (0, 100, 17)" });
    await assertAgreement(table);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.ok((report?.rewritten_files ?? 0) >= 6, "files of PyIceberg among them");
    await assertAgreement(table);
    await expire(table);
    await assertAgreement(table);
    await assertNothingDangles(lake, table);
  });

  test("after a compaction, reads the same rows from a table that it created", async () => {
    const table = "gold.made";
    await pyiceberg.call("create", { table, ids: [1, 2, 3] });
    for (let id = 4; id < 12; id += 1) await pyiceberg.call("append", { table, ids: [id], note: [`note ${id}`] });
    await pyiceberg.call("delete", { table, where: "id = 2" });
    const before_rows = await read(table);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.ok((report?.after.files ?? 9) <= 2);
    assert.deepEqual(await read(table), before_rows);
    await pyiceberg.call<Inspected>("inspect", { table });
  });

  test("reads the same rows after the compaction of a delete file that spans several data files", async () => {
    const table = "gold.spanning";
    await lake.sql(`create table lake.${table} (id bigint, note varchar)`);
    for (let from = 0; from < 80; from += 10)
      await lake.sql(`insert into lake.${table} select i, 'x' from range(${from}, ${from + 10}) t(i)`);
    const files = await locationsOf(lake, table);
    await commitDeletes(lake, table, { rows: files.map((file, index) => [file, index] as const), bounds: "none" });
    const before_rows = await read(table);
    assert.equal(before_rows.length, 72);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([report?.after.files, report?.after.delete_files, report?.after.rows], [1, 0, 72]);
    assert.deepEqual(await read(table), before_rows);
    await assertAgreement(table);
  });
});
