import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { decodeBound } from "../../src/iceberg/bounds.ts";
import { compactTable } from "../../src/maintain/compact.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import {
  identifierOf,
  liveEntries,
  locationsOf,
  openMaintainedLake,
  unreferencedFiles,
  valuesOf,
  withValuesKept,
  type MaintainedLake,
} from "./lake.ts";
import { startPyIceberg, type PyIceberg } from "./pyiceberg.ts";

const ROWS = 2_000;
const HASHES = [1, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47].map((factor) => `md5((i * ${factor})::varchar)`);
/** Wide enough that a file's row group counts as large; the text of hashes does not compress. */
const WIDE = `concat_ws('', ${HASHES.join(", ")})`;

describe("compaction that copies large row groups unchanged", () => {
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

  const compact = (table: string) => compactTable(lake.parts(), identifierOf(table), { fan_in: 3 });

  async function tableOf(name: string): Promise<string> {
    const table = `gold.${name}`;
    await lake.sql(
      `create table lake.${table} (id bigint, note varchar, price decimal(38, 18), share double, ` +
        "seen_at timestamptz, is_new boolean, empty varchar, wide varchar)",
    );
    return table;
  }

  /** The first file has no share and no value in `empty`; the second one has NaN. */
  async function fill(table: string, files: number): Promise<void> {
    for (let index = 0; index < files; index += 1) {
      const share = ["null", "case when i % 5 = 0 then 'nan'::double else i / 7 end", "i / 3"][index % 3];
      await lake.sql(`insert into lake.${table} select i, 'note ' || i % 9,
        (i * 1000003 % 999983)::decimal(38, 18) / 1000, ${share},
        timestamptz '2026-01-05T00:00:00Z' + to_seconds(i),
        i % 2 = 0, ${index === 0 ? "null" : `'e' || i`}, ${WIDE}
        from range(${index * ROWS}, ${(index + 1) * ROWS}) t(i)`);
    }
  }

  async function rowGroups(table: string): Promise<number> {
    const paths = (await locationsOf(lake, table)).map((location) => `'${pathOfLocation(location)}'`);
    const [[count] = []] = await lake.sql(
      `select sum(num_row_groups) from parquet_file_metadata([${paths.join(", ")}])`,
    );
    return Number(count);
  }

  test("keeps values and order, and readers find rows by filter and by PyIceberg", async () => {
    const table = await tableOf("copied");
    await fill(table, 3);
    assert.equal(await rowGroups(table), 3);
    const report = await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([report?.after.files, report?.after.rows], [1, 3 * ROWS]);
    assert.equal(await rowGroups(table), 3, "the row groups are those of the three files");
    const [location = ""] = await locationsOf(lake, table);
    const order = await lake.sql(
      `select count(*) from read_parquet('${pathOfLocation(location)}', file_row_number = true) ` +
        "where id <> file_row_number",
    );
    assert.deepEqual(
      order.map(([count]) => Number(count)),
      [0],
    );
    for (const id of [0, ROWS, 3 * ROWS - 1])
      assert.equal((await lake.sql(`select wide from lake.${table} where id = ${id}`)).length, 1, String(id));
    assert.equal(
      (await lake.sql(`select 1 from lake.${table} where wide = (select wide from lake.${table} where id = 4100)`))
        .length,
      1,
      "by its Bloom filter",
    );
    const read = (await pyiceberg.call<string[][]>("read", { table: `${table}`, snapshot_id: null })).length;
    assert.equal(read, 3 * ROWS);
  });

  test("sums the counts and merges the bounds of all files, with nulls and NaN", async () => {
    const table = await tableOf("figures");
    await fill(table, 3);
    await compact(table);
    const [entry] = await liveEntries(lake, table);
    assert.ok(entry);
    const { record_count, null_value_counts, lower_bounds, upper_bounds } = entry.data_file;
    assert.deepEqual([record_count, ...[1, 4, 7].map((id) => null_value_counts?.get(id))], [3 * ROWS, 0, ROWS, ROWS]);
    const bound = (map: typeof lower_bounds, id: number, type: string) =>
      decodeBound(type, map?.get(id) ?? assert.fail(`no bound of ${id}`));
    assert.deepEqual([bound(lower_bounds, 1, "long"), bound(upper_bounds, 1, "long")], [0, 3 * ROWS - 1]);
    assert.deepEqual([bound(lower_bounds, 2, "string"), bound(upper_bounds, 2, "string")], ["note 0", "note 8"]);
    const [[low, high] = []] = await lake.sql(
      "select replace(min(price)::varchar, '.', '')::hugeint::varchar, " +
        `replace(max(price)::varchar, '.', '')::hugeint::varchar from lake.${table}`,
    );
    assert.deepEqual(
      [String(bound(lower_bounds, 3, "decimal(38, 18)")), String(bound(upper_bounds, 3, "decimal(38, 18)"))],
      [low, high],
    );
    assert.equal(String(bound(lower_bounds, 7, "string")), "e2000", "the file without a value takes no bound away");
    const found = await lake.sql(`select count(*) from lake.${table} where isnan(share)`);
    assert.deepEqual(
      found.map(([count]) => Number(count)),
      [ROWS / 5],
      "NaN is found",
    );
  });

  test("rewrites files of different schemas instead", async () => {
    const table = await tableOf("mixed");
    await fill(table, 2);
    await lake.sql(`alter table lake.${table} add column more int`);
    await lake.sql(
      `insert into lake.${table} select i, 'x', 1, 0, timestamptz '2026-01-05T00:00:00Z', true, 'e', ${WIDE}, 5 ` +
        `from range(${2 * ROWS}, ${3 * ROWS}) t(i)`,
    );
    await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([(await locationsOf(lake, table)).length, await rowGroups(table)], [1, 1]);
    assert.equal((await lake.sql(`select 1 from lake.${table} where more = 5`)).length, ROWS);
  });

  test("copies files of PyIceberg, and rewrites them when merged with files of DuckDB", async () => {
    const table = "gold.arrow";
    await lake.sql(`create table lake.${table} (id bigint, note varchar, day date)`);
    const append = (from: number) => {
      const ids = Array.from({ length: ROWS }, (_, index) => from + index);
      return pyiceberg.call("append", { table, ids, note: ids.map(() => randomBytes(200).toString("base64")) });
    };
    for (const from of [0, ROWS, 2 * ROWS]) await append(from);
    await withValuesKept(lake, table, () => compact(table));
    assert.deepEqual([(await locationsOf(lake, table)).length, await rowGroups(table)], [1, 3]);
    assert.equal((await pyiceberg.call<string[][]>("read", { table, snapshot_id: null })).length, 3 * ROWS);
    for (const from of [3, 4])
      await lake.sql(
        `insert into lake.${table} select i, ${WIDE}, date '2026-01-05' ` +
          `from range(${from * ROWS}, ${(from + 1) * ROWS}) t(i)`,
      );
    await withValuesKept(lake, table, () => compactTable(lake.parts(), identifierOf(table), { fan_in: 2 }));
    assert.equal((await valuesOf(lake, table)).length, 5 * ROWS);
  });

  test("reports a file whose footer refers beyond its end as an unreadable data file", async () => {
    const table = await tableOf("cut");
    await fill(table, 3);
    const victim = pathOfLocation((await locationsOf(lake, table))[1] ?? "");
    const bytes = await readFile(victim);
    // The footer is complete, but refers to more bytes than the file has.
    await writeFile(victim, Buffer.concat([bytes.subarray(0, 4), bytes.subarray(-100_000)]));
    await assert.rejects(compact(table), { code: "DATA_FILES_FAILED" });
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("reports a truncated file, changes nothing and leaves no file", async () => {
    const table = await tableOf("truncated");
    await fill(table, 3);
    const before_metadata = (await lake.load(table)).metadata_location;
    const victim = pathOfLocation((await locationsOf(lake, table))[1] ?? "");
    await truncate(victim, 200_000);
    await assert.rejects(compact(table), { code: "DATA_FILES_FAILED" });
    assert.equal((await lake.load(table)).metadata_location, before_metadata);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });
});
