import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { CONTENT, STATUS } from "../../src/iceberg/manifest-model.ts";
import { readManifests } from "../../src/iceberg/snapshot-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { compactTable, type CompactionOptions } from "../../src/maintain/compact.ts";
import type { ActionReport, MaintenanceParts } from "../../src/maintain/parts.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { commitDeletes, commitFiles, writeData, writeDeletes } from "./foreign.ts";
import {
  append,
  beforeReplacing,
  catalogWith,
  identifierOf,
  liveEntries,
  locationsOf,
  openMaintainedLake,
  tableOf,
  unreferencedFiles,
  withValuesKept,
  type MaintainedLake,
} from "./lake.ts";

describe("compaction of tables of other writers", () => {
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

  describe("with deletes of other engines", () => {
    test("a delete file that spans several data files is applied to each of them", async () => {
      const table = await tableOf(lake, "spanning", 9);
      const files = await locationsOf(lake, table);
      const [first = "", second = "", third = ""] = files;
      await commitDeletes(
        lake,
        table,
        {
          rows: [
            [first, 1],
            [second, 2],
            [third, 3],
          ],
          bounds: "none",
        },
        {
          rows: [
            [first, 4],
            [second, 5],
          ],
        },
      );
      const [{ data_file } = { data_file: null }] = await liveEntries(lake, table);
      const report = await withValuesKept(lake, table, () =>
        compact(table, { target_size_bytes: Number(data_file?.file_size_in_bytes) * 2 }),
      );
      assert.deepEqual([report?.after.rows, report?.after.delete_files], [85, 0]);
    });

    test("a delete file is kept while a data file that it refers to is not rewritten", async () => {
      const table = await tableOf(lake, "shared_delete", 8, 5);
      await append(lake, table, 1000, 20_000);
      const files = await locationsOf(lake, table);
      const large = (await liveEntries(lake, table)).find(
        ({ data_file }) => Number(data_file.record_count) === 20_000,
      )!.data_file;
      const small = files.find((file) => file !== large.file_path)!;
      await commitDeletes(lake, table, {
        rows: [
          [small, 0],
          [large.file_path, 7],
        ],
        bounds: "none",
      });
      const report = await withValuesKept(lake, table, () =>
        compact(table, { target_size_bytes: Number(large.file_size_in_bytes) }),
      );
      assert.deepEqual(
        [report?.after.delete_files, (await locationsOf(lake, table)).includes(large.file_path)],
        [1, true],
      );
    });

    test("a delete file with truncated bounds is resolved by its content", async () => {
      const table = await tableOf(lake, "cut_off", 8);
      const [first = ""] = await locationsOf(lake, table);
      await commitDeletes(lake, table, { rows: [[first, 1]], bounds: "cut off" });
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.deepEqual([report?.after.rows, report?.after.delete_files, report?.after.files], [79, 0, 1]);
    });

    test("a position listed in two delete files deletes one row", async () => {
      const table = await tableOf(lake, "doubled", 8);
      const [first = "", second = ""] = await locationsOf(lake, table);
      await commitDeletes(
        lake,
        table,
        {
          rows: [
            [first, 1],
            [first, 2],
          ],
        },
        {
          rows: [
            [first, 2],
            [second, 2],
          ],
          bounds: "none",
        },
      );
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.deepEqual([report?.after.rows, report?.after.delete_files], [77, 0]);
    });

    test("a delete file with another spelling of the data file's location is applied", async () => {
      const table = await tableOf(lake, "spelled", 8);
      const [first = "", second = ""] = await locationsOf(lake, table);
      await commitDeletes(lake, table, {
        rows: [
          [first.replace("file:///", "file:/"), 1],
          [pathOfLocation(second), 2],
        ],
        bounds: "none",
      });
      await compact(table);
      assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[78]]);
    });

    test("equality deletes and deletion vectors are rejected with a next step, and nothing is changed", async () => {
      const table = await tableOf(lake, "by_value", 8);
      const by_value = await writeDeletes(lake, table, { rows: [["3", 0]], content: CONTENT.equality_deletes });
      await commitFiles(lake, table, [{ file: by_value }]);
      await assertRejected(table, "UNSUPPORTED_DELETES");
      const vectored = await tableOf(lake, "vectored", 8);
      await commitDeletes(lake, vectored, { rows: [["3", 0]], file_format: "PUFFIN" });
      await assertRejected(vectored, "UNSUPPORTED_DELETES");
    });

    test("an equality delete committed during the compaction is rejected, and its files are deleted", async () => {
      const table = await tableOf(lake, "by_value_late", 8);
      const deletion = await writeDeletes(lake, table, { rows: [["3", 0]], content: CONTENT.equality_deletes });
      await assert.rejects(
        compact(
          table,
          {},
          beforeReplacing(() => commitFiles(lake, table, [{ file: deletion }])),
        ),
        { code: "UNSUPPORTED_DELETES" },
      );
      assert.deepEqual(await unreferencedFiles(lake, table), []);
    });
  });

  async function assertRejectedWithMissing(table: string): Promise<void> {
    const { metadata_location } = await lake.load(table);
    await assert.rejects(compact(table), { code: "UNSUPPORTED_FILE" });
    assert.equal((await lake.load(table)).metadata_location, metadata_location);
  }

  async function assertRejected(table: string, code: string): Promise<void> {
    const { metadata_location } = await lake.load(table);
    await assert.rejects(
      compact(table),
      (error) => error instanceof OperatingError && error.code === code && error.next_step !== "",
    );
    assert.equal((await lake.load(table)).metadata_location, metadata_location);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.deepEqual(lake.store.of(table), []);
  }

  describe("with unusual tables", () => {
    for (const version of ["1", "3"]) {
      test(`format version ${version} is rejected with a next step, and nothing is changed`, async () => {
        const name = `version_${version}`;
        await lake.catalog.createTable({
          identifier: identifierOf(`gold.${name}`),
          schema: { type: "struct", fields: [{ id: 1, name: "id", required: false, type: "long" }] },
          properties: { "format-version": version },
        });
        const { metadata } = await lake.load(`gold.${name}`);
        const file = await writeData(
          lake,
          "select 1::bigint as id",
          { id: 1 },
          `${metadata.location}/data/one.parquet`,
        );
        const other = { ...file, file_path: file.file_path.replace("one", "two") };
        await copyFile(pathOfLocation(file.file_path), pathOfLocation(other.file_path));
        await commitForeign(name, [file, other]);
        await assertRejected(`gold.${name}`, "UNSUPPORTED_FORMAT");
      });
    }

    /** Commits a snapshot with the fields that any format version requires; compaction does not depend on them. */
    async function commitForeign(name: string, files: Awaited<ReturnType<typeof writeData>>[]): Promise<void> {
      const catalog = catalogWith(lake, {
        commit: (changes) =>
          lake.catalog.commit(
            changes.map((change) => ({
              ...change,
              updates: change.updates.map((update) =>
                update.action === "add-snapshot"
                  ? { ...update, snapshot: { ...(update["snapshot"] as object), "first-row-id": 0, "added-rows": 2 } }
                  : update,
              ),
            })),
          ),
      });
      const many = Array.from({ length: 8 }, (_, index) => files[index % files.length]!);
      await commitFiles(
        { ...lake, catalog: catalog as typeof lake.catalog },
        `gold.${name}`,
        many.map((file) => ({ file })),
      );
    }

    test("files of an older schema are merged after columns were dropped, replaced, moved and widened", async () => {
      const table = "gold.evolved";
      await lake.sql(`create table lake.${table} (id integer, price decimal(9, 2), gone varchar, note varchar)`);
      await lake.sql(`insert into lake.${table} select i, i * 1.25, 'x', 'note ' || i from range(12) t(i)`);
      const { metadata } = await lake.load(table);
      const [id, price, gone, note] = metadata.schemas[0]!.fields;
      const evolved = [
        note!,
        { ...id!, type: "long" },
        { ...price!, type: "decimal(20, 2)" },
        { id: 5, name: "gone", required: false, type: "double" },
      ];
      assert.equal(gone?.name, "gone");
      await lake.commit(table, [
        { action: "add-schema", schema: { type: "struct", "schema-id": 1, fields: evolved }, "last-column-id": 5 },
        { action: "set-current-schema", "schema-id": -1 },
      ]);
      for (let row = 0; row < 7; row += 1)
        await lake.sql(
          `insert into lake.${table} values ('late', ${2 ** 40 + row}, 123456789012345678.99, ${row} / 2)`,
        );
      await lake.sql(`delete from lake.${table} where id = 3`);
      const report = await withValuesKept(lake, table, () => compact(table, { fan_in: 2 }));
      assert.deepEqual([report?.after.files, report?.after.rows], [1, 18]);
      assert.equal((await lake.sql(`from lake.${table} where gone is null`)).length, 11);
    });

    test("files of different partition specs are not merged and keep their partition values", async () => {
      const table = "gold.specs";
      await lake.sql(`create table lake.${table} (id bigint, coin varchar, day date)`);
      const insert = (from: number) =>
        lake.sql(
          `insert into lake.${table} select i, 'coin ' || i % 2, date '2025-10-10' + (i % 2)::int ` +
            `from range(${from}, ${from + 4}) t(i)`,
        );
      for (let from = 0; from < 32; from += 4) await insert(from);
      await lake.sql(`alter table lake.${table} set partitioned by (day)`);
      for (let from = 32; from < 64; from += 4) await insert(from);
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.equal(report?.after.files, 3);
      const entries = await liveEntries(lake, table);
      assert.deepEqual(entries.map(({ data_file }) => [...data_file.partition.values()]).sort(), [
        [],
        [20371],
        [20372],
      ]);
      await withValuesKept(lake, table, () => lake.sql(`delete from lake.${table} where id < 0`));
    });

    test("extreme values of every type, nulls and unusual column names are kept, and bounds hide no row", async () => {
      const table = "gold.edges";
      await lake.sql(
        `create table lake.${table} ("Id ""x""" bigint, b boolean, i integer, f float, d double, ` +
          "big decimal(38, 18), t time, ts timestamp, tz timestamptz, " +
          `s varchar, u uuid, bin blob, "päivä" date)`,
      );
      for (let row = 0; row < 8; row += 1) {
        await lake.sql(`insert into lake.${table} values (${row}, ${row % 2 === 0}, -${row},
          ${row === 3 ? "'nan'" : "1.5"}, ${row === 4 ? "'-inf'" : "0.1"},
          99999999999999999999.999999999999999999, '23:59:59.999999', '1969-12-31 23:59:59.999999',
          '2262-01-01 00:00:00+00', ${row === 5 ? "''" : "'ä🙂''x'"},
          '${`0000000${row}`}-0000-4000-8000-000000000000', '\\x00\\xFF'::blob, '0001-01-01'),
          (null, null, null, null, null, null, null, null, null, null, null, null, null)`);
      }
      const filters = [
        `"Id ""x""" = 3`,
        "b",
        "i < -6",
        "f = 1.5",
        "f = 'nan'",
        "d = 0.1",
        "d < -1",
        "big = 99999999999999999999.999999999999999999",
        "big > 1e20",
        "t > '23:00'",
        "ts < '1970-01-01'",
        "tz > '2200-01-01'",
        "s = ''",
        "s > 'z'",
        "u > '00000006-0000-4000-8000-000000000000'",
        "bin = '\\x00\\xFF'::blob",
        `"päivä" = '0001-01-01'`,
        "s is null",
      ];
      const counts = () =>
        Promise.all(
          filters.map(async (filter) => [filter, (await lake.sql(`from lake.${table} where ${filter}`)).length]),
        );
      const before_counts = await counts();
      const report = await withValuesKept(lake, table, () => compact(table));
      assert.deepEqual([report?.after.files, report?.after.rows], [1, 16]);
      assert.deepEqual(await counts(), before_counts, "the bounds leave out no row that a filter asks for");
    });

    test("an oversize file is rewritten only if it has many deletes", async () => {
      const table = await tableOf(lake, "oversize", 1, 5_000);
      await append(lake, table, 10_000, 5);
      const [large] = (await liveEntries(lake, table))
        .map(({ data_file }) => data_file)
        .sort((a, b) => Number(b.record_count) - Number(a.record_count));
      const limits = { target_size_bytes: Math.floor(Number(large!.file_size_in_bytes) / 3), fan_in: 2 };
      await lake.sql(`delete from lake.${table} where id in (1, 2)`);
      await withValuesKept(lake, table, () => compact(table, limits));
      assert.ok((await locationsOf(lake, table)).includes(large!.file_path));
      for (let round = 0; round < 3; round += 1) await lake.sql(`delete from lake.${table} where id % 7 = ${round}`);
      await withValuesKept(lake, table, () => compact(table, limits));
      assert.ok(!(await locationsOf(lake, table)).includes(large!.file_path));
    });

    test("files whose columns have no ids are rejected, because their values would be read as nulls", async () => {
      const table = await tableOf(lake, "nameless", 1);
      const { metadata } = await lake.load(table);
      for (let file = 0; file < 8; file += 1) {
        const data = await writeData(
          lake,
          `select ${file}::bigint as id, 0.5::double as value, date '2025-10-10' as day`,
          {},
          `${metadata.location}/data/nameless-${file}.parquet`,
        );
        await commitFiles(lake, table, [{ file: data }]);
      }
      const { metadata_location } = await lake.load(table);
      await assert.rejects(compact(table), { code: "UNSUPPORTED_FILE" });
      assert.equal((await lake.load(table)).metadata_location, metadata_location);
      assert.deepEqual(await unreferencedFiles(lake, table), []);
    });

    test("data files in another format than Parquet are rejected", async () => {
      const table = await tableOf(lake, "orc", 7);
      const [{ data_file } = { data_file: null }] = await liveEntries(lake, table);
      await commitFiles(lake, table, [
        { file: { ...data_file!, file_format: "ORC", file_path: `${data_file!.file_path}.orc` } },
      ]);
      await assertRejectedWithMissing(table);
    });

    test("a table without a snapshot or with an empty one needs no compaction", async () => {
      await lake.sql("create table lake.gold.nothing (id bigint)");
      assert.equal(await compact("gold.nothing"), null);
      await commitFiles(lake, "gold.nothing", []);
      assert.equal(await compact("gold.nothing"), null);
    });

    test("an invalid target size and an unknown table are rejected", async () => {
      const table = await tableOf(lake, "target", 2);
      await assert.rejects(compact(table, { target_size_bytes: 0 }), { code: "INVALID_TARGET_SIZE" });
      await lake.commit(table, [{ action: "set-properties", updates: { "write.target-file-size-bytes": "many" } }]);
      await assert.rejects(compact(table), { code: "INVALID_TARGET_SIZE" });
      await assert.rejects(compact("gold.no_such"), { code: "TABLE_NOT_FOUND" });
    });

    test("a dry run changes nothing and reports what would be rewritten", async () => {
      const table = await tableOf(lake, "dry", 8);
      const { metadata_location } = await lake.load(table);
      const report = await compact(table, { is_dry_run: true });
      assert.deepEqual([report?.rewritten_files, report?.is_dry_run], [8, true]);
      assert.equal((await lake.load(table)).metadata_location, metadata_location);
      assert.deepEqual(await unreferencedFiles(lake, table), []);
    });

    test("small manifests are merged, and entries of deleted files do not accumulate", async () => {
      const table = await tableOf(lake, "manifests", 4, 400);
      for (let round = 0; round < 2; round += 1) {
        for (let file = 0; file < 4; file += 1) await append(lake, table, 1000 + round * 100 + file, 1);
        await compact(table, { fan_in: 4 });
      }
      const { metadata } = await lake.load(table);
      const manifests = await readManifests(lake.storage, metadata, currentSnapshot(metadata)!);
      assert.deepEqual(
        [
          manifests.length,
          manifests.flatMap(({ entries }) => entries).filter(({ status }) => status === STATUS.deleted).length,
        ],
        [1, 4],
      );
      assert.equal(await compact(table, { fan_in: 4 }), null);
    });
  });
});
