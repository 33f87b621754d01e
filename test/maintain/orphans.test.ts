import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { formatJson } from "../../src/iceberg/json.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import { compactTable } from "../../src/maintain/compact.ts";
import { removeOrphans, type OrphanOptions } from "../../src/maintain/orphans.ts";
import type { ActionReport, MaintenanceParts } from "../../src/maintain/parts.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { commitFiles, writeData, writeDeletes } from "./foreign.ts";
import {
  age,
  assertNothingDangles,
  catalogWith,
  filesOnDisk,
  identifierOf,
  locationsOf,
  openMaintainedLake,
  unreferencedFiles,
  withValuesKept,
  type MaintainedLake,
} from "./lake.ts";

describe("orphan removal", () => {
  let lake: MaintainedLake;
  before(async () => {
    lake = await openMaintainedLake();
  });
  after(() => lake.close());

  function clean(
    table: string,
    options: OrphanOptions = {},
    overrides: Partial<MaintenanceParts> = {},
  ): Promise<ActionReport | null> {
    return removeOrphans(lake.parts(overrides), identifierOf(table), options);
  }

  /** A table whose files all have an old modification time, at `location` or at the catalog's default. */
  async function tableOf(name: string, location?: string): Promise<string> {
    const table = `gold.${name}`;
    const fields = [{ id: 1, name: "id", required: false, type: "long" }];
    await lake.catalog.createTable({
      identifier: identifierOf(table),
      schema: { type: "struct", fields },
      ...(location === undefined ? {} : { location }),
    });
    return table;
  }

  async function fill(table: string): Promise<string> {
    await lake.sql(`insert into lake.${table} select * from range(10)`);
    await lake.sql(`delete from lake.${table} where id = 3`);
    await lake.sql(`insert into lake.${table} values (10)`);
    return table;
  }

  async function stray(table: string, name = "data/stray.parquet"): Promise<string> {
    const location = `${(await lake.load(table)).metadata.location}/${name}`;
    await lake.storage.write(location, Buffer.from("nobody's"));
    return location;
  }

  async function ageAll(table: string): Promise<void> {
    await age(await filesOnDisk(lake, table));
  }

  test("deletes only unreferenced files above the minimum age", async () => {
    const table = await fill(await tableOf("plain"));
    const strays = [
      await stray(table),
      await stray(table, "metadata/snap-1-stray.avro"),
      await stray(table, "data/day=2025-10-10/stray.parquet"),
    ];
    await ageAll(table);
    const young = await stray(table, "data/young.parquet");
    const report = await withValuesKept(lake, table, () => clean(table));
    assert.equal(report?.deleted_files, strays.length);
    assert.deepEqual(await unreferencedFiles(lake, table), [young]);
    assert.equal(await clean(table), null);
  });

  test("keeps the young files of a commit in progress, and rejects a minimum age that is too low", async () => {
    const table = await fill(await tableOf("under_way"));
    await ageAll(table);
    const other = await lake.duckdb.connect();
    await other.run(`begin; insert into lake.${table} select * from range(100, 200)`);
    assert.equal(await clean(table, { older_than_ms: 3_600_000 }), null);
    await other.run("commit");
    other.closeSync();
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[110]]);
    await assertNothingDangles(lake, table);
    await assert.rejects(clean(table, { older_than_ms: 1000 }), { code: "ORPHANS_TOO_YOUNG" });
  });

  test("keeps an old file that is committed during the search", async () => {
    const table = await fill(await tableOf("late_commit"));
    const { metadata } = await lake.load(table);
    const file = await writeData(lake, "select 99::bigint as id", { id: 1 }, `${metadata.location}/data/late.parquet`);
    await ageAll(table);
    let loads = 0;
    const catalog = catalogWith(lake, {
      async loadTable(identifier) {
        loads += 1;
        // The folder is listed between the first and the second load of the table.
        if (loads === 2) await commitFiles(lake, table, [{ file }]);
        return lake.catalog.loadTable(identifier);
      },
    });
    assert.equal(await clean(table, {}, { catalog }), null);
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[11]]);
    await assertNothingDangles(lake, table);
  });

  test("keeps live files for any spelling of their location in the metadata", async () => {
    const table = await fill(await tableOf("spelled"));
    const { metadata } = await lake.load(table);
    const spellings: ((location: string) => string)[] = [
      (location) => location.replace("file:///", "file:/"),
      (location) => location.replace("file:///", "file://localhost/"),
      (location) => pathOfLocation(location),
      (location) => location.replace("/data/", "//data/"),
      (location) => encodeURI(location),
      (location) =>
        location
          .split("/")
          .map((name, index) => (index < 3 ? name : encodeURIComponent(name)))
          .join("/"),
    ];
    for (const [index, spell] of spellings.entries()) {
      const file = await writeData(
        lake,
        `select ${index}::bigint as id`,
        { id: 1 },
        `${metadata.location}/data/day=1 2:3+ä/${index}.parquet`,
      );
      await commitFiles(lake, table, [{ file: { ...file, file_path: spell(file.file_path) } }]);
    }
    const encoded = await writeData(
      lake,
      "select 100::bigint as id",
      { id: 1 },
      `${metadata.location}/data/plain/100.parquet`,
    );
    await lake.storage.makeFolder(`${metadata.location}/data/day=a%3Ab`);
    await rename(pathOfLocation(encoded.file_path), pathOfLocation(`${metadata.location}/data/day=a%3Ab/100.parquet`));
    await commitFiles(lake, table, [
      { file: { ...encoded, file_path: `${metadata.location}/data/day=a:b/100.parquet` } },
    ]);
    const orphan = await stray(table, "data/day=1 2:3+ä/stray.parquet");
    const before_files = await filesOnDisk(lake, table);
    await ageAll(table);
    assert.equal((await clean(table))?.deleted_files, 1);
    before_files.delete(orphan);
    assert.deepEqual(await filesOnDisk(lake, table), before_files);
  });

  test("keeps statistics and partition statistics of a snapshot", async () => {
    const table = await fill(await tableOf("statistics"));
    const { metadata } = await lake.load(table);
    const id = metadata["current-snapshot-id"];
    const [statistics, of_partitions] = [
      await stray(table, "metadata/a.stats"),
      await stray(table, "metadata/partitions.parquet"),
    ];
    await lake.commit(table, [
      {
        action: "set-statistics",
        statistics: {
          "snapshot-id": id,
          "statistics-path": statistics,
          "file-size-in-bytes": 8,
          "file-footer-size-in-bytes": 0,
          "blob-metadata": [],
        },
      },
      {
        action: "set-partition-statistics",
        "partition-statistics": { "snapshot-id": id, "statistics-path": of_partitions, "file-size-in-bytes": 8 },
      },
    ]);
    const orphan = await stray(table, "metadata/orphan.stats");
    await ageAll(table);
    const report = await withValuesKept(lake, table, () => clean(table));
    assert.equal(report?.deleted_files, 1);
    assert.ok(!(await filesOnDisk(lake, table)).has(orphan));
  });

  test("keeps files of tags, branches and snapshots that are not current", async () => {
    const table = await fill(await tableOf("refs"));
    const ids = (await lake.load(table)).metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]);
    await lake.commit(table, [
      { action: "set-snapshot-ref", "ref-name": "a tag", type: "tag", "snapshot-id": ids[0] },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": ids[1] },
    ]);
    await ageAll(table);
    await withValuesKept(lake, table, async () => assert.equal(await clean(table), null));
  });

  test("finds orphan files in a table with another spelling of its location", async () => {
    const location = `${lake.warehouse.replace("file:///", "file:/")}/gold/other scheme`;
    const table = await tableOf("other_scheme", location);
    await commitFiles(lake, table, [
      { file: await writeData(lake, "select 1::bigint as id", { id: 1 }, `${location}/data/one.parquet`) },
    ]);
    await stray(table);
    await ageAll(table);
    assert.equal((await clean(table))?.deleted_files, 1);
    await assertNothingDangles(lake, table);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
  });

  test("rejects a folder that contains another table, in any namespace and spelling", async () => {
    const outer = await fill(await tableOf("outer"));
    await stray(outer);
    await ageAll(outer);
    await lake.catalog.createNamespace(["silver"]);
    const location = `${(await lake.load(outer)).metadata.location.replace("file:///", "file:/")}/inner`;
    const schema = { type: "struct" as const, fields: [{ id: 1, name: "id", required: false, type: "long" }] };
    await assert.rejects(lake.catalog.createTable({ identifier: identifierOf("silver.inner"), schema, location }), {
      code: "INVALID_REQUEST",
    });
    // Lakes of earlier versions may have such a table.
    const made = await lake.catalog.createTable({ identifier: identifierOf("silver.inner"), schema });
    const metadata = { ...made.metadata, location };
    const next = `${location}/metadata/00001-${randomUUID()}.metadata.json`;
    await lake.storage.write(next, Buffer.from(formatJson(metadata)));
    const store = new SqliteStore(join(lake.folder, "catalog.sqlite"));
    await store.move([
      { identifier: made.identifier, expected: made.metadata_location, next, metadata, base: made.metadata },
    ]);
    await store.close();
    await assert.rejects(clean(outer), { code: "TABLES_SHARE_A_FOLDER" });
    await lake.catalog.dropTable(identifierOf("silver.inner"));
    assert.ok(((await clean(outer))?.deleted_files ?? 0) >= 1);
  });

  test("fails before it deletes anything if a snapshot cannot be read", async () => {
    const table = await fill(await tableOf("unreadable"));
    const orphan = await stray(table);
    await ageAll(table);
    const { metadata } = await lake.load(table);
    await lake.storage.delete(metadata.snapshots[0]!["manifest-list"]);
    await assert.rejects(clean(table), { code: "FILE_NOT_FOUND" });
    assert.ok((await filesOnDisk(lake, table)).has(orphan));
  });

  test("finds an uncommitted delete file after a compaction; a dry run deletes nothing", async () => {
    const table = await fill(await tableOf("dry"));
    await writeDeletes(lake, table, { rows: [["file:///x", 1]] });
    await compactTable(lake.parts(), identifierOf(table), { fan_in: 2 });
    await ageAll(table);
    assert.deepEqual(
      [(await clean(table, { is_dry_run: true }))?.deleted_files, (await unreferencedFiles(lake, table)).length],
      [1, 1],
    );
    await withValuesKept(lake, table, () => clean(table));
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.ok((await locationsOf(lake, table)).length > 0);
  });
});
