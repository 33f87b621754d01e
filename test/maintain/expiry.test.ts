import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { historyOf } from "../../src/iceberg/metadata/history.ts";
import type { Long } from "../../src/iceberg/model.ts";
import { CONTENT } from "../../src/iceberg/manifest-model.ts";
import { compactTable } from "../../src/maintain/compact.ts";
import { expireTable, type ExpiryOptions } from "../../src/maintain/expire.ts";
import { removeOrphans } from "../../src/maintain/orphans.ts";
import type { ActionReport, MaintenanceParts } from "../../src/maintain/parts.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { claimMaintenance, forgetDropped, maintainTable } from "../../src/maintain/run.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import type { Lake as LakeFolder } from "../../src/lake/lake.ts";
import { commitDeletes, commitFiles, writeData } from "./foreign.ts";
import {
  AFTER_A_DAY_US,
  assertNothingDangles,
  beforeCommit,
  everyValue,
  filesOnDisk,
  identifierOf,
  locationsOf,
  openMaintainedLake,
  unreferencedFiles,
  withValuesKept,
  type MaintainedLake,
} from "./lake.ts";

const NONE = keepWithin(0);

describe("expiry", () => {
  let lake: MaintainedLake;
  before(async () => {
    lake = await openMaintainedLake();
  });
  after(() => lake.close());

  function expire(
    table: string,
    options: ExpiryOptions = { policy: NONE },
    overrides: Partial<MaintenanceParts> = {},
  ): Promise<ActionReport | null> {
    return expireTable(lake.parts(overrides), identifierOf(table), options);
  }

  /** A table with one snapshot for each of `count` appends of ten rows, with ids from 0. */
  async function tableOf(name: string, count: number): Promise<string> {
    const table = `gold.${name}`;
    await lake.sql(`create table lake.${table} (id bigint, value double)`);
    for (let from = 0; from < count * 10; from += 10) await append(table, from);
    return table;
  }

  async function append(table: string, from: number): Promise<void> {
    await lake.sql(`insert into lake.${table} select i, i / 8 from range(${from}, ${from + 10}) t(i)`);
  }

  async function snapshotIds(table: string): Promise<Long[]> {
    return (await lake.load(table)).metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]);
  }

  const tag = (name: string, id: Long) => ({
    action: "set-snapshot-ref",
    "ref-name": name,
    type: "tag",
    "snapshot-id": id,
  });

  async function assertClean(table: string): Promise<void> {
    await assertNothingDangles(lake, table);
    assert.deepEqual(await unreferencedFiles(lake, table), []);
    assert.deepEqual(lake.store.of(table), []);
  }

  test("deletes the lists, manifests, data, delete and statistics files that only expired snapshots need", async () => {
    const table = await tableOf("removed", 8);
    const [first = 0] = await snapshotIds(table);
    await lake.sql(`delete from lake.${table} where id % 10 = 1`);
    const statistics = `${(await lake.load(table)).metadata.location}/metadata/first.stats`;
    await lake.storage.write(statistics, Buffer.from("statistics"));
    await lake.commit(table, [
      {
        action: "set-statistics",
        statistics: {
          "snapshot-id": first,
          "statistics-path": statistics,
          "file-size-in-bytes": 10,
          "file-footer-size-in-bytes": 0,
          "blob-metadata": [],
        },
      },
    ]);
    await compactTable(lake.parts(), identifierOf(table));
    const before_files = (await filesOnDisk(lake, table)).size;
    const report = await withValuesKept(lake, table, () => expire(table));
    assert.deepEqual([report?.expired_snapshots, report?.before.snapshots, report?.after.snapshots], [9, 10, 1]);
    const new_metadata_files = 1;
    assert.equal(before_files + new_metadata_files - (await filesOnDisk(lake, table)).size, report?.deleted_files);
    await assertClean(table);
    assert.equal(await expire(table), null, "a second run finds nothing to do");
  });

  test("keeps the snapshots of tags and branches with their files", async () => {
    const table = await tableOf("referenced", 4);
    const ids = await snapshotIds(table);
    await lake.commit(table, [
      tag("kept", ids[0]!),
      { action: "set-snapshot-ref", "ref-name": "side", type: "branch", "snapshot-id": ids[2]! },
    ]);
    await lake.sql(`delete from lake.${table} where id < 25`);
    await compactTable(lake.parts(), identifierOf(table), { fan_in: 2 });
    const at_tag = (await everyValue(lake, table)).at;
    await withValuesKept(lake, table, () => expire(table));
    const { at } = await everyValue(lake, table);
    // A branch's history is its ancestors: the second snapshot is an ancestor of the third.
    assert.deepEqual(
      [...at.keys()].sort(),
      [...ids.slice(0, 3), (await lake.load(table)).metadata["current-snapshot-id"]].map(String).sort(),
    );
    assert.deepEqual(at.get(String(ids[0])), at_tag.get(String(ids[0])));
    await assertClean(table);
    await assert.rejects(expire(table, { snapshot_ids: [ids[0]!] }), { code: "SNAPSHOT_IN_USE" });
    await assert.rejects(expire(table, { snapshot_ids: [17] }), { code: "SNAPSHOT_NOT_FOUND" });
  });

  test("expires snapshots in any order and keeps files that a remaining one needs", async () => {
    const table = await tableOf("thinned", 3);
    await lake.sql(`delete from lake.${table} where id in (1, 12)`);
    await compactTable(lake.parts(), identifierOf(table), { fan_in: 2 });
    await append(table, 100);
    await lake.sql(`delete from lake.${table}`);
    await append(table, 200);
    const ids = await snapshotIds(table);
    for (const gone of [1, 3, 5, 2, 4, 6].map((index) => ids[index]!)) {
      await withValuesKept(lake, table, () => expire(table, { snapshot_ids: [gone] }));
      await assertClean(table);
    }
    assert.deepEqual(await snapshotIds(table), [ids[0], ids[7]]);
    assert.deepEqual(
      historyOf((await lake.load(table)).metadata).map(({ snapshot_id }) => snapshot_id),
      [ids[0], ids[7]],
      "what was current when stays known",
    );
  });

  test("keeps a file that the expired snapshots deleted and a later one added again under the same name", async () => {
    const table = "gold.again";
    await lake.sql(`create table lake.${table} (id bigint)`);
    const { metadata } = await lake.load(table);
    const file = await writeData(lake, "select 1::bigint as id", { id: 1 }, `${metadata.location}/data/one.parquet`);
    await commitFiles(lake, table, [{ file }]);
    await commitFiles(lake, table, [], { is_overwrite: true });
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[0]]);
    const old = await snapshotIds(table);
    await commitFiles(lake, table, [{ file }]);
    await withValuesKept(lake, table, () => expire(table, { snapshot_ids: old }));
    await assertClean(table);
  });

  test("keeps a snapshot, with its files, that is tagged during the expiry", async () => {
    const table = await tableOf("tagged_meanwhile", 3);
    const [first = 0, second] = await snapshotIds(table);
    const catalog = beforeCommit(lake, () => lake.commit(table, [tag("late", first)]));
    const report = await withValuesKept(lake, table, () => expire(table, { policy: NONE }, { catalog }));
    assert.deepEqual([report?.conflicts, report?.expired_snapshots], [1, 1]);
    const ids = await snapshotIds(table);
    assert.ok(ids.includes(first) && !ids.includes(second!));
    assert.ok((await lake.load(table)).metadata.refs["late"] !== undefined);
    await assertClean(table);
  });

  test("keeps the snapshot to which main is rolled back during the expiry", async () => {
    const table = await tableOf("rolled_back", 3);
    const [first = 0] = await snapshotIds(table);
    const rollBack = () =>
      lake.commit(table, [{ action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": first }]);
    const report = await expire(table, { policy: NONE }, { catalog: beforeCommit(lake, rollBack) });
    assert.equal(report?.conflicts, 1);
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[10]]);
    await assertClean(table);
  });

  test("keeps a commit made during the expiry, with its files", async () => {
    const table = await tableOf("committed_meanwhile", 3);
    const catalog = beforeCommit(lake, () => lake.sql(`delete from lake.${table} where id < 5`));
    const report = await expire(table, { policy: NONE }, { catalog });
    assert.deepEqual([report?.conflicts, report?.expired_snapshots], [0, 2]);
    assert.deepEqual(await lake.sql(`select count(*)::int from lake.${table}`), [[25]]);
    await assertClean(table);
  });

  test("succeeds although a writer commits before each attempt", async () => {
    const table = await tableOf("raced", 2);
    const exclusively: MaintenanceParts["exclusively"] = async (_table, commit) => {
      await append(table, 110);
      return commit();
    };
    const report = await expire(table, { policy: NONE }, { exclusively });
    assert.deepEqual([report?.conflicts, report?.expired_snapshots, (await snapshotIds(table)).length], [0, 1, 2]);
    await assertClean(table);
  });

  test("fails and changes nothing if its snapshots are tagged before each attempt", async () => {
    const table = await tableOf("moved", 4);
    const [first, second] = await snapshotIds(table);
    const move = (id: unknown) => [{ action: "set-snapshot-ref", "ref-name": "kept", type: "tag", "snapshot-id": id }];
    let turn = 0;
    const exclusively: MaintenanceParts["exclusively"] = async (_table, commit) => {
      turn += 1;
      await lake.catalog.commit([
        { identifier: identifierOf(table), requirements: [], updates: move(turn % 2 === 0 ? first : second) },
      ]);
      return commit();
    };
    const before_ids = await snapshotIds(table);
    await assert.rejects(expire(table, { policy: NONE }, { exclusively }), { code: "EXPIRY_OVERTAKEN" });
    assert.deepEqual(await snapshotIds(table), before_ids);
    await assertClean(table);
  });

  test("runs concurrently with orphan removal without deleting a needed file", async () => {
    const table = await tableOf("both", 6);
    await compactTable(lake.parts(), identifierOf(table), { fan_in: 2 });
    const clock = { now_us: () => lake.clock.now_us() + AFTER_A_DAY_US, wait: () => lake.clock.wait() };
    await withValuesKept(lake, table, () =>
      Promise.all([expire(table), removeOrphans(lake.parts({ clock }), identifierOf(table))]),
    );
    await assertClean(table);
  });

  test("one process maintains a lake at a time", () => {
    const here = { folder: lake.folder, name: "test" } as LakeFolder;
    const claim = claimMaintenance(here, "compaction");
    assert.throws(() => claimMaintenance(here, "expiry"), { code: "MAINTENANCE_RUNNING", is_retryable: true });
    claim.release();
    claimMaintenance(here, "expiry").release();
  });

  test("the next run deletes the files that an interrupted expiry recorded", async () => {
    const table = await tableOf("killed", 3);
    const stop = new Error("killed");
    const step: MaintenanceParts["step"] = (reached) => {
      if (reached === "after expiry") throw stop;
    };
    await assert.rejects(expire(table, { policy: NONE }, { step }), stop);
    assert.notDeepEqual(await unreferencedFiles(lake, table), []);
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, []));
    await assertClean(table);
  });

  test("recorded files that are still referenced are kept", async () => {
    const table = await tableOf("noted", 2);
    lake.store.add(table, [...(await filesOnDisk(lake, table))]);
    await withValuesKept(lake, table, () => maintainTable(lake.parts(), lake.store, table, []));
    await assertClean(table);
  });

  test("the state of a dropped table is removed, and its failure does not affect other tables", async () => {
    const table = await tableOf("dropped", 2);
    const living = await tableOf("living", 8);
    const store = new MaintenanceStore(`${lake.folder}/other`);
    store.add(table, ["file:///gone.parquet"]);
    await lake.sql(`drop table lake.${table}`);
    await assert.rejects(maintainTable(lake.parts({ pending: store }), store, table, ["compact"]), {
      code: "TABLE_NOT_FOUND",
    });
    const reports = await maintainTable(lake.parts({ pending: store }), store, living, ["compact", "expire"], {
      expire: { policy: NONE },
    });
    assert.deepEqual(
      reports.map(({ action }) => action),
      ["compact", "expire"],
    );
    assert.deepEqual(
      store.runs({ table: living }).map(({ action }) => action),
      ["expire", "compact"],
    );
    forgetDropped(store, [living]);
    assert.deepEqual(store.pendingTables(), []);
    store.close();
  });

  test("a table whose compaction fails is still expired, and the failure is reported", async () => {
    const table = await tableOf("rejected", 8);
    const [first = ""] = await locationsOf(lake, table);
    await commitDeletes(lake, table, { rows: [[first, 0]], content: CONTENT.equality_deletes });
    await assert.rejects(
      maintainTable(lake.parts(), lake.store, table, ["compact", "expire"], { expire: { policy: NONE } }),
      { code: "UNSUPPORTED_DELETES" },
    );
    assert.equal((await snapshotIds(table)).length, 1);
    await assertClean(table);
  });

  test("deletes files in the table's folder for any spelling, and never files outside it", async () => {
    const table = await tableOf("elsewhere", 1);
    const { metadata } = await lake.load(table);
    const outside = await writeData(
      lake,
      "select 50::bigint as id, 0.5::double as value",
      { id: 1, value: 2 },
      `${lake.warehouse}/gold/outside/one.parquet`,
    );
    const inside = await writeData(
      lake,
      "select 51::bigint as id, 0.5::double as value",
      { id: 1, value: 2 },
      `${metadata.location}/data/one.parquet`,
    );
    await commitFiles(lake, table, [
      { file: outside },
      { file: { ...inside, file_path: inside.file_path.replace("file:///", "file:/") } },
    ]);
    const old = await snapshotIds(table);
    await lake.sql(`delete from lake.${table}`);
    await commitDeletes(lake, table);
    await compactTable(lake.parts(), identifierOf(table), { fan_in: 2 });
    await expire(table, { snapshot_ids: [...old, ...(await snapshotIds(table)).slice(old.length, -1)] });
    assert.ok((await lake.storage.read(outside.file_path)).length > 0);
    await assertClean(table);
  });

  test("a dry run changes nothing and reports what would be expired", async () => {
    const table = await tableOf("dry", 3);
    const { metadata_location } = await lake.load(table);
    const report = await expire(table, { policy: NONE, is_dry_run: true });
    assert.deepEqual([report?.expired_snapshots, report?.is_dry_run], [2, true]);
    assert.equal((await lake.load(table)).metadata_location, metadata_location);
    await assertClean(table);
  });
});
