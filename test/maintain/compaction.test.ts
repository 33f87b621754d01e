import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { OperatingError, UnknownOutcome } from "../../src/errors.ts";
import { CONTENT, STATUS } from "../../src/iceberg/manifest-model.ts";
import { readManifests } from "../../src/iceberg/snapshot-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { compactTable, type CompactionOptions } from "../../src/maintain/compact.ts";
import { expireTable } from "../../src/maintain/expire.ts";
import type { ActionReport, MaintenanceParts } from "../../src/maintain/parts.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { maintainTable } from "../../src/maintain/run.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { commitDeletes, commitFiles, writeData, writeDeletes } from "./foreign.ts";
import {
  assertNothingDangles,
  beforeCommit,
  catalogWith,
  everyValue,
  identifierOf,
  liveEntries,
  locationsOf,
  openMaintainedLake,
  rowsOf,
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

  function compact(table: string, options: CompactionOptions = {}, overrides: Partial<MaintenanceParts> = {}): Promise<ActionReport | null> {
    return compactTable(lake.parts(overrides), identifierOf(table), options);
  }

  /** A table of `files` files with `rows` rows each: ids from 0. */
  async function tableOf(name: string, files: number, rows = 10): Promise<string> {
    const table = `gold.${name}`;
    await lake.sql(`create table lake.${table} (id bigint, value double, day date)`);
    for (let file = 0; file < files; file += 1) await append(table, file * rows, rows);
    return table;
  }

  async function append(table: string, from: number, rows = 10): Promise<void> {
    await lake.sql(`insert into lake.${table} select i, i / 8, date '2025-10-10' + (i % 3)::int from range(${from}, ${from + rows}) t(i)`);
  }

  /** Runs `action` between the rewrite of the files and the commit. */
  function beforeReplacing(action: () => Promise<unknown>): Partial<MaintenanceParts> {
    let is_done = false;
    return {
      async exclusively(_table, commit) {
        if (!is_done) await action();
        is_done = true;
        return commit();
      },
    };
  }

  async function replaceSnapshots(table: string) {
    return (await lake.load(table)).metadata.snapshots.filter(({ summary }) => summary["operation"] === "replace");
  }

  test("puts small files together in the order of their rows, and leaves every value, now and then", async () => {
    const table = await tableOf("small", 10);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([report?.before.files, report?.after.files, report?.after.rows, report?.conflicts], [10, 1, 100, 0]);
    const [location = ""] = await locationsOf(lake, table);
    const ids = await lake.sql(`select id from read_parquet('${pathOfLocation(location)}', file_row_number = true) order by file_row_number`);
    assert.deepEqual(ids.map(([id]) => Number(id)), Array.from({ length: 100 }, (_, id) => id));
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.equal(await compact(table), null, "a second run finds nothing to do");
  });

  test("a file belongs to one task, however many there are: no half of a file is lost", async () => {
    const table = await tableOf("tasks", 12, 300);
    const entries = await liveEntries(lake, table);
    const sizes = entries.map(({ data_file }) => Number(data_file.file_size_in_bytes));
    const report = await withValuesKept(lake, table, () => compact(table, { target_size_bytes: Math.max(...sizes) * 3 }));
    assert.ok((report?.added_files ?? 0) >= 3, `${report?.added_files} tasks`);
    const left = new Set(await locationsOf(lake, table));
    assert.equal(report?.rewritten_files, entries.filter(({ data_file }) => !left.has(data_file.file_path)).length, "each file was rewritten once");
  });

  test("a rewrite whose rows are not those that it takes away is refused, and nothing is changed", async () => {
    const table = await tableOf("damaged", 8);
    const before_metadata = (await lake.load(table)).metadata_location;
    const [victim = "", other = ""] = await locationsOf(lake, table);
    await lake.sql(`copy (select * from read_parquet('${pathOfLocation(other)}') limit 7) to '${pathOfLocation(victim)}.new' (format parquet, field_ids {id: 1, value: 2, day: 3})`);
    await copyFile(`${pathOfLocation(victim)}.new`, pathOfLocation(victim));
    await assert.rejects(compact(table), { code: "REWRITE_LOSES_ROWS" });
    assert.equal((await lake.load(table)).metadata_location, before_metadata);
    assert.deepEqual((await unreferencedFiles(lake, table)).filter((file) => !file.endsWith(".new")), []);
  });

  test("a replacement states as many rows added as deleted, less the position deletes that it applies", async () => {
    const table = await tableOf("sums", 8);
    await lake.sql(`delete from lake.${table} where id % 10 = 3`);
    await compact(table);
    const [{ summary } = { summary: {} as Record<string, string> }] = await replaceSnapshots(table);
    const figure = (name: string): number => Number(summary[name]);
    assert.equal(figure("added-records"), figure("deleted-records") - figure("removed-position-deletes"));
    assert.deepEqual([figure("added-records"), figure("deleted-records"), figure("removed-delete-files")], [72, 80, 8]);
    assert.equal((await valuesOf(lake, table)).length, 72);
  });

  test("a delete committed while the compaction ran stays: the row does not come back", async () => {
    const table = await tableOf("deleted_meanwhile", 8);
    const report = await compact(table, {}, beforeReplacing(() => lake.sql(`delete from lake.${table} where id in (5, 77)`)));
    assert.equal(report?.conflicts, 1, "the work is planned again");
    const ids = await lake.sql(`select id::int from lake.${table} order by 1`);
    assert.deepEqual(ids.flat(), Array.from({ length: 80 }, (_, id) => id).filter((id) => id !== 5 && id !== 77));
    assert.deepEqual([report?.after.files, report?.after.delete_files], [1, 0]);
    assert.deepEqual(await unreferencedFiles(lake, table), [], "what was rewritten in vain is gone");
    await assertNothingDangles(lake, table);
  });

  test("a delete committed between the check and the commit stays as well", async () => {
    const table = await tableOf("deleted_late", 8);
    const catalog = beforeCommit(lake, () => lake.sql(`delete from lake.${table} where id = 5`));
    const report = await compact(table, {}, { catalog });
    assert.equal(report?.conflicts, 1);
    assert.deepEqual(await lake.sql(`select count(*)::int, count(*) filter (id = 5)::int from lake.${table}`), [[79, 0]]);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("an append meanwhile is no conflict, and its rows stay", async () => {
    const table = await tableOf("appended_meanwhile", 8);
    const catalog = beforeCommit(lake, () => append(table, 80));
    const report = await compact(table, {}, { ...beforeReplacing(() => append(table, 90)), catalog });
    assert.deepEqual([report?.conflicts, report?.after.files, report?.after.rows], [0, 3, 100]);
    assert.deepEqual(await lake.sql(`select count(*)::int, sum(id)::int from lake.${table}`), [[100, 4950]]);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("the other side: a delete of positions in files that were just replaced is refused with a conflict, not lost", async () => {
    const table = await tableOf("replaced_meanwhile", 8);
    const other = await lake.duckdb.connect();
    await rowsOf(other, "begin");
    await rowsOf(other, `delete from lake.${table} where id = 5`);
    await rowsOf(other, `insert into lake.${table} values (5, 99, date '2025-10-12')`);
    await compact(table);
    await assert.rejects(other.run("commit"), /409|[Cc]onflict|Requirement failed/);
    other.closeSync();
    assert.deepEqual(await lake.sql(`select count(*)::int, count(*) filter (id = 5)::int from lake.${table}`), [[80, 1]]);
    await lake.sql(`delete from lake.${table} where id = 5`);
    assert.deepEqual(await lake.sql(`select count(*)::int, count(*) filter (id = 5)::int from lake.${table}`), [[79, 0]]);
  });

  test("a compaction that sees an old metadata pointer drops no newer rows and deletes none of their files", async () => {
    const table = await tableOf("stale", 8);
    const stale = await lake.load(table);
    await append(table, 80);
    const before_values = await everyValue(lake, table);
    const catalog = catalogWith(lake, { loadTable: () => Promise.resolve(stale) });
    await assert.rejects(compact(table, {}, { catalog }), { code: "COMPACTION_OVERTAKEN" });
    assert.deepEqual(await everyValue(lake, table), before_values);
    await assertNothingDangles(lake, table);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("a commit without an answer, tried again, puts no data file into the table twice", async () => {
    const table = await tableOf("unanswered", 8);
    const catalog = catalogWith(lake, {
      async commit(changes) {
        await lake.catalog.commit(changes);
        throw new UnknownOutcome("the answer was lost", null);
      },
    });
    await assert.rejects(compact(table, {}, { catalog }), { code: "UNKNOWN_OUTCOME" });
    assert.equal((await locationsOf(lake, table)).length, 1, "the commit was published");
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, ["compact"]));
    const locations = await locationsOf(lake, table);
    assert.equal(new Set(locations).size, locations.length);
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[80]]);
    assert.deepEqual(lake.store.of(table), []);
  });

  test("a commit without an answer that never arrived leaves files, and the next run deletes them", async () => {
    const table = await tableOf("unheard", 8);
    const catalog = catalogWith(lake, { commit: () => Promise.reject(new UnknownOutcome("the answer was lost", null)) });
    await assert.rejects(compact(table, {}, { catalog }), { code: "UNKNOWN_OUTCOME" });
    assert.notDeepEqual(await unreferencedFiles(lake, table), []);
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, ["compact"]));
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.deepEqual([(await locationsOf(lake, table)).length, lake.store.of(table).length], [1, 0]);
  });

  test("position deletes that refer to no live file are removed", async () => {
    const table = await tableOf("dangling", 2);
    const gone = `${(await lake.load(table)).metadata.location}/data/gone.parquet`;
    await commitDeletes(lake, table, { rows: [[gone, 0]] }, { rows: [[gone, 1]], bounds: "cut off" }, { rows: [[gone, 2]], referenced_data_file: gone });
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([report?.before.delete_files, report?.after.delete_files, report?.after.files], [3, 0, 2]);
  });

  test("a file whose rows are all deleted goes without a successor, and so do all files of a table with no live row", async () => {
    const table = await tableOf("emptied", 9);
    await lake.sql(`delete from lake.${table} where id < 10`);
    await lake.sql(`delete from lake.${table} where id between 10 and 19`);
    await withValuesKept(lake, table, () => compact(table));
    await lake.sql(`delete from lake.${table}`);
    for (let id = 0; id < 7; id += 1) await append(table, id, 1);
    await lake.sql(`delete from lake.${table}`);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([report?.after.files, report?.after.delete_files, report?.after.rows, report?.added_files], [0, 0, 0, 0]);
    await append(table, 500);
    assert.equal((await valuesOf(lake, table)).length, 10, "the table takes rows again");
  });

  test("files of one row each are put together, and all of a partition once it is cold", async () => {
    const table = "gold.singles";
    await lake.sql(`create table lake.${table} (id bigint, day date)`);
    await lake.sql(`alter table lake.${table} set partitioned by (day)`);
    const { metadata } = await lake.load(table);
    const field_id = metadata["partition-specs"].at(-1)!.fields[0]!["field-id"]!;
    const hours_ago = Date.now() - 5 * 3_600_000;
    for (let id = 0; id < 3; id += 1) {
      const file = await writeData(lake, `select ${id}::bigint as id, date '2025-10-09' as day`, { id: 1, day: 2 }, `${metadata.location}/data/day=2025-10-09/${id}.parquet`);
      await commitFiles(lake, table, [{ file: { ...file, partition: new Map([[field_id, 20370]]) } }], hours_ago + id);
    }
    for (let id = 3; id < 19; id += 1) await lake.sql(`insert into lake.${table} values (${id}, date '2025-10-10')`);
    await withValuesKept(lake, table, () => compact(table));
    const days = (await liveEntries(lake, table)).map(({ data_file }) => Number([...data_file.partition.values()][0]));
    assert.deepEqual(days.sort(), [20370, 20371], "one file of the cold partition, one of sixteen in the hot one");
  });

  test("time travel to any snapshot before, between and after compactions answers the same, no row doubled", async () => {
    const table = await tableOf("travelled", 8);
    const seen = new Map<string, string[]>();
    for (let round = 0; round < 3; round += 1) {
      await lake.sql(`begin; delete from lake.${table} where id = ${round * 8 + 1}; insert into lake.${table} values (${round * 8 + 1}, -1, date '2025-10-10'); commit`);
      const id = String((await lake.load(table)).metadata["current-snapshot-id"]);
      seen.set(id, await valuesOf(lake, table));
      await compact(table, { fan_in: 2 });
    }
    const { at } = await everyValue(lake, table);
    for (const [id, values] of seen) assert.deepEqual(at.get(id), values);
    assert.ok((await replaceSnapshots(table)).length >= 2);
  });

  test("positions are those of the rows in their file, in many row groups read by two threads", async () => {
    const table = "gold.positions";
    await lake.sql(`create table lake.${table} (id bigint, value double)`);
    await lake.sql(`insert into lake.${table} select i, hash(i) % 1000 from range(300000) t(i)`);
    for (let round = 0; round < 8; round += 1) await lake.sql(`delete from lake.${table} where hash(id + ${round}) % 97 = 0`);
    const fingerprint = `select count(*)::int, sum(id)::varchar, sum(hash(id, value))::varchar from lake.${table}`;
    const before_fingerprint = await lake.sql(fingerprint);
    const report = await compact(table);
    assert.deepEqual(await lake.sql(fingerprint), before_fingerprint);
    assert.deepEqual([report?.after.files, report?.after.delete_files], [1, 0]);
    const [location = ""] = await locationsOf(lake, table);
    const disorder = `select count(*)::int from (select id < lag(id) over (order by file_row_number) as is_less from read_parquet('${pathOfLocation(location)}', file_row_number = true)) where is_less`;
    if (report?.before.files === 1) assert.deepEqual(await lake.sql(disorder), [[0]]);
  });

  test("a compaction that loses every race ends with an error and leaves no file behind", async () => {
    const table = await tableOf("raced", 8);
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

  test("offsets and other properties, schemas, specs and references stay, those of a commit meanwhile too", async () => {
    const table = await tableOf("properties", 8);
    const tagged = (await lake.load(table)).metadata["current-snapshot-id"]!;
    await lake.commit(table, [
      { action: "set-properties", updates: { "log.offset.0": "41", owner: "test" } },
      { action: "set-snapshot-ref", "ref-name": "kept", type: "tag", "snapshot-id": tagged },
    ]);
    const before_metadata = (await lake.load(table)).metadata;
    await compact(table, {}, beforeReplacing(() => lake.commit(table, [{ action: "set-properties", updates: { "log.offset.0": "42" } }])));
    const { metadata } = await lake.load(table);
    assert.deepEqual(metadata.properties, { ...before_metadata.properties, "log.offset.0": "42" });
    assert.deepEqual(metadata.refs["kept"], before_metadata.refs["kept"]);
    for (const key of ["schemas", "partition-specs", "sort-orders", "location", "table-uuid"]) assert.deepEqual(metadata[key], before_metadata[key], key);
    assert.equal((await replaceSnapshots(table)).length, 1);
  });

  test("snapshots expired, and their files deleted, while a compaction that started from them runs: it plans again", async () => {
    const table = await tableOf("expired_meanwhile", 16, 40);
    const [{ data_file } = { data_file: null }] = await liveEntries(lake, table);
    let is_done = false;
    const storage = Object.assign(Object.create(lake.storage) as typeof lake.storage, {
      async sync(location: string) {
        await lake.storage.sync(location);
        if (is_done) return;
        is_done = true;
        await lake.sql(`delete from lake.${table}`);
        await append(table, 1000);
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

  describe("of deletes that other engines write", () => {
    test("a delete file that names several data files is applied to each, and stays as long as one of them does", async () => {
      const table = await tableOf("spanning", 9);
      const files = await locationsOf(lake, table);
      const [first = "", second = "", third = ""] = files;
      await commitDeletes(lake, table, { rows: [[first, 1], [second, 2], [third, 3]], bounds: "none" }, { rows: [[first, 4], [second, 5]] });
      const [{ data_file } = { data_file: null }] = await liveEntries(lake, table);
      const report = await withValuesKept(lake, table, () => compact(table, { target_size_bytes: Number(data_file?.file_size_in_bytes) * 2 }));
      assert.deepEqual([report?.after.rows, report?.after.delete_files], [85, 0]);
    });

    test("a delete file stays while another file that it names is left alone", async () => {
      const table = await tableOf("shared_delete", 8, 5);
      await append(table, 1000, 20_000);
      const files = await locationsOf(lake, table);
      const large = (await liveEntries(lake, table)).find(({ data_file }) => Number(data_file.record_count) === 20_000)!.data_file;
      const small = files.find((file) => file !== large.file_path)!;
      await commitDeletes(lake, table, { rows: [[small, 0], [large.file_path, 7]], bounds: "none" });
      const report = await withValuesKept(lake, table, () => compact(table, { target_size_bytes: Number(large.file_size_in_bytes) }));
      assert.deepEqual([report?.after.delete_files, (await locationsOf(lake, table)).includes(large.file_path)], [1, true]);
    });

    test("bounds that are cut off name no file: the content is asked", async () => {
      const table = await tableOf("cut_off", 8);
      const [first = ""] = await locationsOf(lake, table);
      await commitDeletes(lake, table, { rows: [[first, 1]], bounds: "cut off" });
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.deepEqual([report?.after.rows, report?.after.delete_files, report?.after.files], [79, 0, 1]);
    });

    test("a position that two delete files name takes one row", async () => {
      const table = await tableOf("doubled", 8);
      const [first = "", second = ""] = await locationsOf(lake, table);
      await commitDeletes(lake, table, { rows: [[first, 1], [first, 2]] }, { rows: [[first, 2], [second, 2]], bounds: "none" });
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.deepEqual([report?.after.rows, report?.after.delete_files], [77, 0]);
    });

    test("a delete names its file by another spelling of the location", async () => {
      const table = await tableOf("spelled", 8);
      const [first = "", second = ""] = await locationsOf(lake, table);
      await commitDeletes(lake, table, { rows: [[first.replace("file:///", "file:/"), 1], [pathOfLocation(second), 2]], bounds: "none" });
      await compact(table);
      assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[78]]);
    });

    test("equality deletes and deletion vectors are refused with a clear error, and nothing is changed", async () => {
      const table = await tableOf("by_value", 8);
      const by_value = await writeDeletes(lake, table, { rows: [["3", 0]], content: CONTENT.equality_deletes });
      await commitFiles(lake, table, [{ file: by_value }]);
      await assertRefused(table, "UNSUPPORTED_DELETES");
      const vectored = await tableOf("vectored", 8);
      await commitDeletes(lake, vectored, { rows: [["3", 0]], file_format: "PUFFIN" });
      await assertRefused(vectored, "UNSUPPORTED_DELETES");
    });

    test("an equality delete committed meanwhile is refused too, and the rewritten files go", async () => {
      const table = await tableOf("by_value_late", 8);
      const deletion = await writeDeletes(lake, table, { rows: [["3", 0]], content: CONTENT.equality_deletes });
      await assert.rejects(compact(table, {}, beforeReplacing(() => commitFiles(lake, table, [{ file: deletion }]))), { code: "UNSUPPORTED_DELETES" });
      assert.deepEqual(await unreferencedFiles(lake, table), []);
    });
  });

  async function assertRefusedWithMissing(table: string): Promise<void> {
    const { metadata_location } = await lake.load(table);
    await assert.rejects(compact(table), { code: "UNSUPPORTED_FILE" });
    assert.equal((await lake.load(table)).metadata_location, metadata_location);
  }

  async function assertRefused(table: string, code: string): Promise<void> {
    const { metadata_location } = await lake.load(table);
    await assert.rejects(compact(table), (error) => error instanceof OperatingError && error.code === code && error.next_step !== "");
    assert.equal((await lake.load(table)).metadata_location, metadata_location);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.deepEqual(lake.store.of(table), []);
  }

  describe("of tables that are out of the ordinary", () => {
    for (const version of ["1", "3"]) {
      test(`format version ${version} is refused with a clear error, and nothing is changed`, async () => {
        const name = `version_${version}`;
        await lake.catalog.createTable({
          identifier: identifierOf(`gold.${name}`),
          schema: { type: "struct", fields: [{ id: 1, name: "id", required: false, type: "long" }] },
          properties: { "format-version": version },
        });
        const { metadata } = await lake.load(`gold.${name}`);
        const file = await writeData(lake, "select 1::bigint as id", { id: 1 }, `${metadata.location}/data/one.parquet`);
        const other = { ...file, file_path: file.file_path.replace("one", "two") };
        await copyFile(pathOfLocation(file.file_path), pathOfLocation(other.file_path));
        await commitForeign(name, [file, other]);
        await assertRefused(`gold.${name}`, "UNSUPPORTED_FORMAT");
      });
    }

    /** A snapshot of any format: what its fields are is none of compaction's business. */
    async function commitForeign(name: string, files: Awaited<ReturnType<typeof writeData>>[]): Promise<void> {
      const catalog = catalogWith(lake, {
        commit: (changes) =>
          lake.catalog.commit(
            changes.map((change) => ({
              ...change,
              updates: change.updates.map((update) =>
                update.action === "add-snapshot" ? { ...update, snapshot: { ...(update["snapshot"] as object), "first-row-id": 0, "added-rows": 2 } } : update,
              ),
            })),
          ),
      });
      const many = Array.from({ length: 8 }, (_, index) => files[index % files.length]!);
      await commitFiles({ ...lake, catalog: catalog as typeof lake.catalog }, `gold.${name}`, many.map((file) => ({ file })));
    }

    test("files of older schemas: a column that was added, renamed, dropped, moved or widened", async () => {
      const table = "gold.evolved";
      await lake.sql(`create table lake.${table} (id integer, price decimal(9, 2), gone varchar, note varchar)`);
      await lake.sql(`insert into lake.${table} select i, i * 1.25, 'x', 'note ' || i from range(12) t(i)`);
      const { metadata } = await lake.load(table);
      const [id, price, gone, note] = metadata.schemas[0]!.fields;
      const evolved = [note!, { ...id!, type: "long" }, { ...price!, type: "decimal(20, 2)" }, { id: 5, name: "gone", required: false, type: "double" }];
      assert.equal(gone?.name, "gone");
      await lake.commit(table, [
        { action: "add-schema", schema: { type: "struct", "schema-id": 1, fields: evolved }, "last-column-id": 5 },
        { action: "set-current-schema", "schema-id": -1 },
      ]);
      for (let row = 0; row < 7; row += 1) await lake.sql(`insert into lake.${table} values ('late', ${2 ** 40 + row}, 123456789012345678.99, ${row} / 2)`);
      await lake.sql(`delete from lake.${table} where id = 3`);
      const report = await withValuesKept(lake, table, () => compact(table, { fan_in: 2 }));
      assert.deepEqual([report?.after.files, report?.after.rows], [1, 18]);
      assert.equal((await lake.sql(`from lake.${table} where gone is null`)).length, 11);
    });

    test("files of several partition specs stay apart, each with its values", async () => {
      const table = "gold.specs";
      await lake.sql(`create table lake.${table} (id bigint, coin varchar, day date)`);
      const insert = (from: number) => lake.sql(`insert into lake.${table} select i, 'coin ' || i % 2, date '2025-10-10' + (i % 2)::int from range(${from}, ${from + 4}) t(i)`);
      for (let from = 0; from < 32; from += 4) await insert(from);
      await lake.sql(`alter table lake.${table} set partitioned by (day)`);
      for (let from = 32; from < 64; from += 4) await insert(from);
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.equal(report?.after.files, 3);
      const entries = await liveEntries(lake, table);
      assert.deepEqual(entries.map(({ data_file }) => [...data_file.partition.values()]).sort(), [[], [20371], [20372]]);
      await withValuesKept(lake, table, () => lake.sql(`delete from lake.${table} where id < 0`));
    });

    test("values and names at their edges: every type, nulls, names with spaces, quotes and capitals, paths with odd characters", async () => {
      const table = "gold.edges";
      await lake.sql(`create table lake.${table} ("Id ""x""" bigint, b boolean, i integer, f float, d double, big decimal(38, 18), t time, ts timestamp, tz timestamptz, s varchar, u uuid, bin blob, "päivä" date)`);
      for (let row = 0; row < 8; row += 1) {
        await lake.sql(`insert into lake.${table} values (${row}, ${row % 2 === 0}, -${row}, ${row === 3 ? "'nan'" : "1.5"}, ${row === 4 ? "'-inf'" : "0.1"}, 99999999999999999999.999999999999999999, '23:59:59.999999', '1969-12-31 23:59:59.999999', '2262-01-01 00:00:00+00', ${row === 5 ? "''" : "'ä🙂''x'"}, '${`0000000${row}`}-0000-4000-8000-000000000000', '\\x00\\xFF'::blob, '0001-01-01'),
          (null, null, null, null, null, null, null, null, null, null, null, null, null)`);
      }
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.deepEqual([report?.after.files, report?.after.rows], [1, 16]);
    });

    test("an oversize file is left alone, with few deletes too; with many it is rewritten", async () => {
      const table = await tableOf("oversize", 1, 5_000);
      await append(table, 10_000, 5);
      const [large] = (await liveEntries(lake, table)).map(({ data_file }) => data_file).sort((a, b) => Number(b.record_count) - Number(a.record_count));
      const limits = { target_size_bytes: Math.floor(Number(large!.file_size_in_bytes) / 3), fan_in: 2 };
      await lake.sql(`delete from lake.${table} where id in (1, 2)`);
      await withValuesKept(lake, table, () => compact(table, limits));
      assert.ok((await locationsOf(lake, table)).includes(large!.file_path));
      for (let round = 0; round < 3; round += 1) await lake.sql(`delete from lake.${table} where id % 7 = ${round}`);
      await withValuesKept(lake, table, () => compact(table, limits));
      assert.ok(!(await locationsOf(lake, table)).includes(large!.file_path));
    });

    test("files whose columns have no ids are refused: their values could not be told apart from nulls", async () => {
      const table = await tableOf("nameless", 1);
      const { metadata } = await lake.load(table);
      for (let file = 0; file < 8; file += 1) {
        const data = await writeData(lake, `select ${file}::bigint as id, 0.5::double as value, date '2025-10-10' as day`, {}, `${metadata.location}/data/nameless-${file}.parquet`);
        await commitFiles(lake, table, [{ file: data }]);
      }
      const { metadata_location } = await lake.load(table);
      await assert.rejects(compact(table), { code: "UNSUPPORTED_FILE" });
      assert.equal((await lake.load(table)).metadata_location, metadata_location);
      assert.deepEqual(await unreferencedFiles(lake, table), []);
    });

    test("data files in another format than Parquet are refused", async () => {
      const table = await tableOf("orc", 7);
      const [{ data_file } = { data_file: null }] = await liveEntries(lake, table);
      await commitFiles(lake, table, [{ file: { ...data_file!, file_format: "ORC", file_path: `${data_file!.file_path}.orc` } }]);
      await assertRefusedWithMissing(table);
    });

    test("a table without a snapshot, and one whose current snapshot is empty, need nothing", async () => {
      await lake.sql("create table lake.gold.nothing (id bigint)");
      assert.equal(await compact("gold.nothing"), null);
      await commitFiles(lake, "gold.nothing", []);
      assert.equal(await compact("gold.nothing"), null);
    });

    test("a target of zero and a table that does not exist are clear errors", async () => {
      const table = await tableOf("target", 2);
      await assert.rejects(compact(table, { target_size_bytes: 0 }), { code: "INVALID_TARGET_SIZE" });
      await lake.commit(table, [{ action: "set-properties", updates: { "write.target-file-size-bytes": "many" } }]);
      await assert.rejects(compact(table), { code: "INVALID_TARGET_SIZE" });
      await assert.rejects(compact("gold.no_such"), { code: "NO_SUCH_TABLE" });
    });

    test("a dry run changes nothing, and says what would be rewritten", async () => {
      const table = await tableOf("dry", 8);
      const { metadata_location } = await lake.load(table);
      const report = await compact(table, { is_dry_run: true });
      assert.deepEqual([report?.rewritten_files, report?.is_dry_run], [8, true]);
      assert.equal((await lake.load(table)).metadata_location, metadata_location);
      assert.deepEqual(await unreferencedFiles(lake, table), []);
    });

    test("many small manifests are merged, and entries of deleted files do not pile up", async () => {
      const table = await tableOf("manifests", 4, 400);
      for (let round = 0; round < 2; round += 1) {
        for (let file = 0; file < 4; file += 1) await append(table, 1000 + round * 100 + file, 1);
        await compact(table, { fan_in: 4 });
      }
      const { metadata } = await lake.load(table);
      const manifests = await readManifests(lake.storage, metadata, currentSnapshot(metadata)!);
      assert.deepEqual([manifests.length, manifests.flatMap(({ entries }) => entries).filter(({ status }) => status === STATUS.deleted).length], [1, 4]);
      assert.equal(await compact(table, { fan_in: 4 }), null);
    });
  });
});
