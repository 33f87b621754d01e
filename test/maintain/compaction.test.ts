import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { OperatingError, UnknownOutcome } from "../../src/base/errors.ts";
import { compactTable, type CompactionOptions } from "../../src/maintain/compact.ts";
import { expireTable } from "../../src/maintain/expire.ts";
import type { ActionReport, MaintenanceParts } from "../../src/maintain/parts.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { maintainTable } from "../../src/maintain/run.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { commitDeletes, commitFiles, writeData } from "./foreign.ts";
import {
  append,
  assertNothingDangles,
  beforeCommit,
  beforeReplacing,
  catalogWith,
  everyValue,
  identifierOf,
  liveEntries,
  locationsOf,
  openMaintainedLake,
  rowsOf,
  tableOf,
  unreferencedFiles,
  valuesOf,
  withValuesKept,
  type MaintainedLake,
} from "./lake.ts";

describe("compaction", () => {
  let lake: MaintainedLake;
  before(async () => {
    lake = await openMaintainedLake();
  });
  after(() => lake.close());

  function compact(
    table: string,
    options: CompactionOptions = {},
    overrides: Partial<MaintenanceParts> = {},
  ): Promise<ActionReport | null> {
    return compactTable(lake.parts(overrides), identifierOf(table), options);
  }

  async function replaceSnapshots(table: string) {
    return (await lake.load(table)).metadata.snapshots.filter(({ summary }) => summary["operation"] === "replace");
  }

  test("merges small files in row order and changes no value, now or in time travel", async () => {
    const table = await tableOf(lake, "small", 10);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual(
      [report?.before.files, report?.after.files, report?.after.rows, report?.conflicts],
      [10, 1, 100, 0],
    );
    const [location = ""] = await locationsOf(lake, table);
    const ids = await lake.sql(
      `select id from read_parquet('${pathOfLocation(location)}', file_row_number = true) order by file_row_number`,
    );
    assert.deepEqual(
      ids.map(([id]) => Number(id)),
      Array.from({ length: 100 }, (_, id) => id),
    );
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.equal(await compact(table), null, "a second run finds nothing to do");
  });

  test("each file belongs to one of several tasks and is rewritten once, without loss of rows", async () => {
    const table = await tableOf(lake, "tasks", 12, 300);
    const entries = await liveEntries(lake, table);
    const sizes = entries.map(({ data_file }) => Number(data_file.file_size_in_bytes));
    const report = await withValuesKept(lake, table, () =>
      compact(table, { target_size_bytes: Math.max(...sizes) * 3 }),
    );
    assert.ok((report?.added_files ?? 0) >= 3, `${report?.added_files} tasks`);
    const left = new Set(await locationsOf(lake, table));
    assert.equal(
      report?.rewritten_files,
      entries.filter(({ data_file }) => !left.has(data_file.file_path)).length,
      "each file was rewritten once",
    );
  });

  test("a rewrite with fewer rows than the files that it replaces is rejected, and nothing is changed", async () => {
    const table = await tableOf(lake, "damaged", 8);
    const before_metadata = (await lake.load(table)).metadata_location;
    const [victim = "", other = ""] = await locationsOf(lake, table);
    await lake.sql(
      `copy (select * from read_parquet('${pathOfLocation(other)}') limit 7) ` +
        `to '${pathOfLocation(victim)}.new' (format parquet, field_ids {id: 1, value: 2, day: 3})`,
    );
    await copyFile(`${pathOfLocation(victim)}.new`, pathOfLocation(victim));
    await assert.rejects(compact(table), { code: "REWRITE_LOSES_ROWS" });
    assert.equal((await lake.load(table)).metadata_location, before_metadata);
    assert.deepEqual(
      (await unreferencedFiles(lake, table)).filter((file) => !file.endsWith(".new")),
      [],
    );
  });

  test("the summary of a replacement adds as many rows as it deletes, less the applied position deletes", async () => {
    const table = await tableOf(lake, "sums", 8);
    await lake.sql(`delete from lake.${table} where id % 10 = 3`);
    await compact(table);
    const [{ summary } = { summary: {} as Record<string, string> }] = await replaceSnapshots(table);
    const figure = (name: string): number => Number(summary[name]);
    assert.equal(figure("added-records"), figure("deleted-records") - figure("removed-position-deletes"));
    assert.deepEqual([figure("added-records"), figure("deleted-records"), figure("removed-delete-files")], [72, 80, 8]);
    assert.equal((await valuesOf(lake, table)).length, 72);
  });

  test("a delete committed during a compaction is kept, and the compaction is planned again", async () => {
    const table = await tableOf(lake, "deleted_meanwhile", 8);
    const report = await compact(
      table,
      {},
      beforeReplacing(() => lake.sql(`delete from lake.${table} where id in (5, 77)`)),
    );
    assert.equal(report?.conflicts, 1, "the work is planned again");
    const ids = await lake.sql(`select id::int from lake.${table} order by 1`);
    assert.deepEqual(
      ids.flat(),
      Array.from({ length: 80 }, (_, id) => id).filter((id) => id !== 5 && id !== 77),
    );
    assert.deepEqual([report?.after.files, report?.after.delete_files], [1, 0]);
    assert.deepEqual(await unreferencedFiles(lake, table), [], "what was rewritten in vain is gone");
    await assertNothingDangles(lake, table);
  });

  test("a delete committed between the compaction's check and its commit is kept", async () => {
    const table = await tableOf(lake, "deleted_late", 8);
    const catalog = beforeCommit(lake, () => lake.sql(`delete from lake.${table} where id = 5`));
    const report = await compact(table, {}, { catalog });
    assert.equal(report?.conflicts, 1);
    assert.deepEqual(await lake.sql(`select count(*)::int, count(*) filter (id = 5)::int from lake.${table}`), [
      [79, 0],
    ]);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("a concurrent append is not a conflict, and its rows are kept", async () => {
    const table = await tableOf(lake, "appended_meanwhile", 8);
    const catalog = beforeCommit(lake, () => append(lake, table, 80));
    const report = await compact(table, {}, { ...beforeReplacing(() => append(lake, table, 90)), catalog });
    assert.deepEqual([report?.conflicts, report?.after.files, report?.after.rows], [0, 3, 100]);
    assert.deepEqual(await lake.sql(`select count(*)::int, sum(id)::int from lake.${table}`), [[100, 4950]]);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("a position delete for files that were replaced meanwhile fails with a conflict", async () => {
    const table = await tableOf(lake, "replaced_meanwhile", 8);
    const other = await lake.duckdb.connect();
    await rowsOf(other, "begin");
    await rowsOf(other, `delete from lake.${table} where id = 5`);
    await rowsOf(other, `insert into lake.${table} values (5, 99, date '2025-10-12')`);
    await compact(table);
    await assert.rejects(other.run("commit"), /409|[Cc]onflict|Requirement failed/);
    other.closeSync();
    assert.deepEqual(await lake.sql(`select count(*)::int, count(*) filter (id = 5)::int from lake.${table}`), [
      [80, 1],
    ]);
    await lake.sql(`delete from lake.${table} where id = 5`);
    assert.deepEqual(await lake.sql(`select count(*)::int, count(*) filter (id = 5)::int from lake.${table}`), [
      [79, 0],
    ]);
  });

  test("a compaction that reads stale metadata fails and removes no newer row or file", async () => {
    const table = await tableOf(lake, "stale", 8);
    const stale = await lake.load(table);
    await append(lake, table, 80);
    const before_values = await everyValue(lake, table);
    const catalog = catalogWith(lake, { loadTable: () => Promise.resolve(stale) });
    await assert.rejects(compact(table, {}, { catalog }), { code: "COMPACTION_OVERTAKEN" });
    assert.deepEqual(await everyValue(lake, table), before_values);
    await assertNothingDangles(lake, table);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("a commit whose response is lost is read back, and adds no data file twice", async () => {
    const table = await tableOf(lake, "unanswered", 8);
    const catalog = catalogWith(lake, {
      async commit(changes) {
        await lake.catalog.commit(changes);
        throw new UnknownOutcome("the answer was lost", null);
      },
    });
    const report = await withValuesKept(lake, table, () => compact(table, {}, { catalog }));
    assert.deepEqual([report?.rewritten_files, report?.added_files, report?.after.files], [8, 1, 1]);
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, ["compact"]));
    const locations = await locationsOf(lake, table);
    assert.equal(new Set(locations).size, locations.length);
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[80]]);
    assert.deepEqual(lake.store.of(table), []);
  });

  test("a failed commit with an unknown outcome leaves files, and the next run deletes them", async () => {
    const table = await tableOf(lake, "unheard", 8);
    const catalog = catalogWith(lake, {
      commit: () => Promise.reject(new UnknownOutcome("the answer was lost", null)),
    });
    await assert.rejects(compact(table, {}, { catalog }), { code: "UNKNOWN_OUTCOME" });
    assert.notDeepEqual(await unreferencedFiles(lake, table), []);
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, ["compact"]));
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.deepEqual([(await locationsOf(lake, table)).length, lake.store.of(table).length], [1, 0]);
  });

  test("a commit without an answer leaves files too where the catalog cannot be read afterwards", async () => {
    const table = await tableOf(lake, "unreadable", 8);
    let is_away = false;
    const catalog = catalogWith(lake, {
      async commit(changes) {
        await lake.catalog.commit(changes);
        is_away = true;
        throw new UnknownOutcome("the answer was lost", null);
      },
      async loadTable(identifier) {
        if (is_away) throw new OperatingError("CATALOG_IO_FAILED", "the disk does not answer", { next_step: "" });
        return lake.catalog.loadTable(identifier);
      },
    });
    await withValuesKept(lake, table, async () => {
      await assert.rejects(compact(table, {}, { catalog }), { code: "UNKNOWN_OUTCOME" });
    });
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, ["compact"]));
    await assertNothingDangles(lake, table);
    assert.deepEqual(lake.store.of(table), []);
  });

  test("position deletes that refer to no live file are removed", async () => {
    const table = await tableOf(lake, "dangling", 2);
    const gone = `${(await lake.load(table)).metadata.location}/data/gone.parquet`;
    await commitDeletes(
      lake,
      table,
      { rows: [[gone, 0]] },
      { rows: [[gone, 1]], bounds: "cut off" },
      { rows: [[gone, 2]], referenced_data_file: gone },
    );
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([report?.before.delete_files, report?.after.delete_files, report?.after.files], [3, 0, 2]);
  });

  test("files whose rows are all deleted are removed without replacement, up to all files of a table", async () => {
    const table = await tableOf(lake, "emptied", 9);
    await lake.sql(`delete from lake.${table} where id < 10`);
    await lake.sql(`delete from lake.${table} where id between 10 and 19`);
    await withValuesKept(lake, table, () => compact(table));
    await lake.sql(`delete from lake.${table}`);
    for (let id = 0; id < 7; id += 1) await append(lake, table, id, 1);
    await lake.sql(`delete from lake.${table}`);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual(
      [report?.after.files, report?.after.delete_files, report?.after.rows, report?.added_files],
      [0, 0, 0, 0],
    );
    await append(lake, table, 500);
    assert.equal((await valuesOf(lake, table)).length, 10, "the table takes rows again");
  });

  test("files of one row each are merged: sixteen of a hot partition, and all of a cold one", async () => {
    const table = "gold.singles";
    await lake.sql(`create table lake.${table} (id bigint, day date)`);
    await lake.sql(`alter table lake.${table} set partitioned by (day)`);
    const { metadata } = await lake.load(table);
    const field_id = metadata["partition-specs"].at(-1)!.fields[0]!["field-id"]!;
    const hours_ago = Date.now() - 5 * 3_600_000;
    for (let id = 0; id < 3; id += 1) {
      const file = await writeData(
        lake,
        `select ${id}::bigint as id, date '2025-10-09' as day`,
        { id: 1, day: 2 },
        `${metadata.location}/data/day=2025-10-09/${id}.parquet`,
      );
      await commitFiles(lake, table, [{ file: { ...file, partition: new Map([[field_id, 20370]]) } }], {
        at_ms: hours_ago + id,
      });
    }
    for (let id = 3; id < 19; id += 1) await lake.sql(`insert into lake.${table} values (${id}, date '2025-10-10')`);
    await withValuesKept(lake, table, () => compact(table));
    const days = (await liveEntries(lake, table)).map(({ data_file }) => Number([...data_file.partition.values()][0]));
    assert.deepEqual(days.sort(), [20370, 20371], "one file of the cold partition, one of sixteen in the hot one");
  });

  test("time travel to any snapshot returns the same rows before and after several compactions", async () => {
    const table = await tableOf(lake, "travelled", 8);
    const seen = new Map<string, string[]>();
    for (let round = 0; round < 3; round += 1) {
      await lake.sql(
        `begin; delete from lake.${table} where id = ${round * 8 + 1}; ` +
          `insert into lake.${table} values (${round * 8 + 1}, -1, date '2025-10-10'); commit`,
      );
      const id = String((await lake.load(table)).metadata["current-snapshot-id"]);
      seen.set(id, await valuesOf(lake, table));
      await compact(table, { fan_in: 2 });
    }
    const { at } = await everyValue(lake, table);
    for (const [id, values] of seen) assert.deepEqual(at.get(id), values);
    assert.ok((await replaceSnapshots(table)).length >= 2);
  });

  test("deletes apply to the right positions of files with many row groups, read by two threads", async () => {
    const table = "gold.positions";
    await lake.sql(`create table lake.${table} (id bigint, value double)`);
    await lake.sql(`insert into lake.${table} select i, hash(i) % 1000 from range(300000) t(i)`);
    for (let round = 0; round < 8; round += 1)
      await lake.sql(`delete from lake.${table} where hash(id + ${round}) % 97 = 0`);
    const fingerprint = `select count(*)::int, sum(id)::varchar, sum(hash(id, value))::varchar from lake.${table}`;
    const before_fingerprint = await lake.sql(fingerprint);
    const report = await compact(table);
    assert.deepEqual(await lake.sql(fingerprint), before_fingerprint);
    assert.deepEqual([report?.after.files, report?.after.delete_files], [1, 0]);
    const [location = ""] = await locationsOf(lake, table);
    const disorder =
      "select count(*)::int " +
      "from (select id < lag(id) over (order by file_row_number) as is_less " +
      `from read_parquet('${pathOfLocation(location)}', file_row_number = true)) where is_less`;
    if (report?.before.files === 1) assert.deepEqual(await lake.sql(disorder), [[0]]);
  });

  test("a compaction that loses to another writer every time fails and leaves no file", async () => {
    const table = await tableOf(lake, "raced", 8);
    let next = 0;
    const exclusively: MaintenanceParts["exclusively"] = async (_table, commit) => {
      await lake.sql(`delete from lake.${table} where id = ${(next += 1)}`);
      return commit();
    };
    await assert.rejects(compact(table, {}, { exclusively }), { code: "COMPACTION_OVERTAKEN" });
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.deepEqual(lake.store.of(table), []);
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[80 - next]]);
  });

  test("properties, schemas, specs and references are kept, including a property of a concurrent commit", async () => {
    const table = await tableOf(lake, "properties", 8);
    const tagged = (await lake.load(table)).metadata["current-snapshot-id"]!;
    await lake.commit(table, [
      { action: "set-properties", updates: { "log.offset.0": "41", owner: "test" } },
      { action: "set-snapshot-ref", "ref-name": "kept", type: "tag", "snapshot-id": tagged },
    ]);
    const before_metadata = (await lake.load(table)).metadata;
    await compact(
      table,
      {},
      beforeReplacing(() => lake.commit(table, [{ action: "set-properties", updates: { "log.offset.0": "42" } }])),
    );
    const { metadata } = await lake.load(table);
    assert.deepEqual(metadata.properties, { ...before_metadata.properties, "log.offset.0": "42" });
    assert.deepEqual(metadata.refs["kept"], before_metadata.refs["kept"]);
    for (const key of ["schemas", "partition-specs", "sort-orders", "location", "table-uuid"])
      assert.deepEqual(metadata[key], before_metadata[key], key);
    assert.equal((await replaceSnapshots(table)).length, 1);
  });

  test("a compaction whose files are expired and deleted while it runs plans again", async () => {
    const table = await tableOf(lake, "expired_meanwhile", 16, 40);
    const [{ data_file } = { data_file: null }] = await liveEntries(lake, table);
    let is_done = false;
    const storage = Object.assign(Object.create(lake.storage) as typeof lake.storage, {
      async sync(location: string) {
        await lake.storage.sync(location);
        if (is_done) return;
        is_done = true;
        await lake.sql(`delete from lake.${table}`);
        await append(lake, table, 1000);
        await compact(table, { fan_in: 2 });
        await expireTable(lake.parts(), identifierOf(table), { policy: keepWithin(0) });
      },
    });
    const report = await compact(table, { target_size_bytes: Number(data_file?.file_size_in_bytes) * 8 }, { storage });
    assert.ok(is_done);
    assert.equal(report, null, "nothing of it was committed");
    assert.deepEqual(await lake.sql(`select count(*)::int, min(id)::int from lake.${table}`), [[10, 1000]]);
    await assertNothingDangles(lake, table);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });
});
