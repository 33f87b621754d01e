import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { listsWithoutSnapshot } from "../../../src/iceberg/metadata/join.ts";
import type { Snapshot, TableMetadata, Update } from "../../../src/iceberg/model.ts";
import { after, LOCATION, newTable, tableWithSnapshots } from "./fixtures.ts";

const listOf = (id: number) => `${LOCATION}/metadata/snap-${id}-1.avro`;
/** An added snapshot as engines send it; the sequence number is the id. */
function add(id: number, parent_id: number | null, summary: Record<string, string>, extra: object = {}): Update {
  const parent = parent_id === null ? {} : { "parent-snapshot-id": parent_id };
  return {
    action: "add-snapshot",
    snapshot: {
      "snapshot-id": id,
      ...parent,
      "sequence-number": id,
      "timestamp-ms": 1_790_000_000_000 + id,
      "manifest-list": listOf(id),
      summary,
      ...extra,
    },
  };
}
const setRef = (snapshot_id: number, name = "main", type = "branch"): Update => ({
  action: "set-snapshot-ref",
  "ref-name": name,
  type,
  "snapshot-id": snapshot_id,
});
const idsOf = (table: TableMetadata) => table.snapshots.map((snapshot) => snapshot["snapshot-id"]);
const logOf = (table: TableMetadata) => table["snapshot-log"].map((entry) => entry["snapshot-id"]);
const headOf = (table: TableMetadata): Snapshot => table.snapshots.at(-1) ?? assert.fail("no snapshot");

/** The snapshot summaries of DuckDB's DELETE (merge-on-read) and INSERT. */
const DELETE = {
  operation: "delete",
  "added-delete-files": "1",
  "added-position-deletes": "5",
  "removed-delete-files": "0",
  "total-records": "10",
  "total-data-files": "1",
  "total-delete-files": "1",
  "total-position-deletes": "5",
};
const INSERT = {
  operation: "append",
  "added-records": "7",
  "added-data-files": "2",
  "deleted-records": "0",
  "deleted-data-files": "0",
  "total-records": "17",
  "total-data-files": "3",
  "total-delete-files": "1",
  "total-position-deletes": "5",
};
/** The summary of PyIceberg's overwrite, which removes whole files. */
const REMOVE_FILES = { operation: "delete", "deleted-data-files": "1", "deleted-records": "10", "total-records": "0" };

describe("consecutive snapshots added by one commit", () => {
  test("are joined into the last, with the parent of the first, if the first adds delete files", () => {
    const table = after(
      tableWithSnapshots(2),
      add(3, 2, DELETE),
      add(4, 3, INSERT),
      { action: "set-properties", updates: { offset: "42" } },
      setRef(4),
    );
    assert.deepEqual(idsOf(table), [1, 2, 4]);
    assert.deepEqual(logOf(table), [1, 2, 4]);
    assert.equal(table["last-sequence-number"], 4);
    assert.equal(table.properties["offset"], "42");
    const { summary, ...rest } = headOf(table);
    assert.deepEqual(rest, {
      "snapshot-id": 4,
      "parent-snapshot-id": 2,
      "sequence-number": 4,
      "timestamp-ms": 1_790_000_000_004,
      "manifest-list": listOf(4),
    });
    assert.deepEqual(summary, {
      operation: "overwrite",
      "added-delete-files": "1",
      "added-position-deletes": "5",
      "removed-delete-files": "0",
      "added-records": "7",
      "added-data-files": "2",
      "deleted-records": "0",
      "deleted-data-files": "0",
      "total-records": "17",
      "total-data-files": "3",
      "total-delete-files": "1",
      "total-position-deletes": "5",
    });
  });

  test("sum the added and removed counts of all, and keep only totals that the last one states", () => {
    const first = {
      ...INSERT,
      "changed-partition-count": "2",
      "partitions.day=1": "x",
      "total-files-size": "9",
      "engine-name": "a",
    };
    const table = after(
      newTable(),
      add(1, null, first),
      add(2, 1, DELETE),
      add(3, 2, { ...INSERT, "engine-name": "b" }),
      add(4, 3, DELETE),
      setRef(4),
    );
    assert.deepEqual(idsOf(table), [4]);
    assert.equal(Object.hasOwn(headOf(table), "parent-snapshot-id"), false);
    const { summary } = headOf(table);
    assert.deepEqual(
      [summary["added-records"], summary["added-position-deletes"], summary["total-records"]],
      ["14", "10", "10"],
    );
    assert.deepEqual([summary["engine-name"], summary["operation"]], ["b", "overwrite"]);
    for (const unknown of ["changed-partition-count", "partitions.day=1", "total-files-size"])
      assert.equal(summary[unknown], undefined);
  });

  test("become a delete operation if none of them adds rows", () => {
    const table = after(tableWithSnapshots(1), add(2, 1, DELETE), add(3, 2, DELETE), setRef(3));
    assert.deepEqual([idsOf(table), headOf(table).summary["operation"]], [[1, 3], "delete"]);
  });

  test("are joined if main was set to each of them, and on another branch", () => {
    const table = after(tableWithSnapshots(1), add(2, 1, DELETE), setRef(2), add(3, 2, INSERT), setRef(3));
    assert.deepEqual(
      [idsOf(table), logOf(table)],
      [
        [1, 3],
        [1, 3],
      ],
    );
    const branched = after(tableWithSnapshots(1), add(2, 1, DELETE), add(3, 2, INSERT), setRef(3, "trial"));
    assert.deepEqual([idsOf(branched), logOf(branched), branched.refs["trial"]?.["snapshot-id"]], [[1, 3], [1], 3]);
  });

  test("are joined with one contiguous range of row ids", () => {
    const third = after(newTable({ "format-version": "3" }));
    const table = after(
      third,
      add(1, null, DELETE, { "first-row-id": 0, "added-rows": 0 }),
      add(2, 1, INSERT, { "first-row-id": 0, "added-rows": 7 }),
      add(3, 2, INSERT, { "first-row-id": 7, "added-rows": 2 }),
      setRef(3),
    );
    const head = headOf(table) as unknown as Record<string, unknown>;
    assert.deepEqual([head["first-row-id"], head["added-rows"], table["next-row-id"], idsOf(table)], [0, 9, 9, [3]]);
  });

  const LEFT: Record<string, Update[]> = {
    "all of them append, because incremental readers find appended rows by snapshot": [
      add(2, 1, INSERT),
      add(3, 2, INSERT),
      setRef(3),
    ],
    "one before the last removes files, which only its manifest list records": [
      add(2, 1, REMOVE_FILES),
      add(3, 2, { ...INSERT, "added-delete-files": "1" }),
      setRef(3),
    ],
    "the summary of one before the last has no counts": [
      add(2, 1, { operation: "delete" }),
      add(3, 2, DELETE),
      setRef(3),
    ],
    "one replaces files without changing rows": [
      add(2, 1, { ...DELETE, operation: "replace" }),
      add(3, 2, INSERT),
      setRef(3),
    ],
    "a tag references the first": [add(2, 1, DELETE), add(3, 2, INSERT), setRef(2, "before", "tag"), setRef(3)],
    "a branch references the first": [add(2, 1, DELETE), add(3, 2, INSERT), setRef(2, "trial"), setRef(3)],
    "statistics reference the first": [
      add(2, 1, DELETE),
      add(3, 2, INSERT),
      { action: "set-statistics", statistics: { "snapshot-id": 2, "statistics-path": "file:///s" } },
      setRef(3),
    ],
    "nothing references the last": [add(2, 1, DELETE), add(3, 2, INSERT)],
    "they have the same parent": [add(2, 1, DELETE), add(3, 1, INSERT), setRef(3)],
    "two have the first as parent": [
      add(2, 1, DELETE),
      add(3, 2, INSERT),
      add(4, 2, INSERT),
      setRef(4),
      setRef(3, "other"),
    ],
  };
  for (const [why, updates] of Object.entries(LEFT)) {
    test(`stay separate if ${why}`, () => {
      const table = after(tableWithSnapshots(1), ...updates);
      const added = updates.filter(({ action }) => action === "add-snapshot").length;
      assert.equal(table.snapshots.length, 1 + added);
      assert.deepEqual(listsWithoutSnapshot(updates, table), []);
    });
  }

  test("are never joined with snapshots of an earlier commit", () => {
    const deleted = after(tableWithSnapshots(1), add(2, 1, DELETE), setRef(2));
    assert.deepEqual(idsOf(after(deleted, add(3, 2, DELETE), setRef(3))), [1, 2, 3]);
  });
});

describe("manifest lists of joined snapshots", () => {
  const updates = [add(2, 1, DELETE), add(3, 2, INSERT), setRef(3)];
  test("are deleted, except that of the last snapshot", () =>
    assert.deepEqual(listsWithoutSnapshot(updates, after(tableWithSnapshots(1), ...updates)), [listOf(2)]));

  test("are kept if gc.enabled is false or another snapshot uses the same list", () => {
    assert.deepEqual(
      listsWithoutSnapshot(
        updates,
        after(after(newTable({ "gc.enabled": "false" }), add(1, null, INSERT), setRef(1)), ...updates),
      ),
      [],
    );
    const shared = [add(2, 1, DELETE), add(3, 2, INSERT, { "manifest-list": listOf(2) }), setRef(3)];
    assert.deepEqual(listsWithoutSnapshot(shared, after(tableWithSnapshots(1), ...shared)), []);
  });

  for (const location of [
    "file:///etc/passwd.avro",
    `${LOCATION}/data/1.avro`,
    `${LOCATION}/metadata/../../other/metadata/snap.avro`,
    `${LOCATION}/metadata/00001-x.metadata.json`,
  ]) {
    test(`are kept if they are not Avro files in the table's metadata folder: ${location}`, () => {
      const foreign = [add(2, 1, DELETE, { "manifest-list": location }), add(3, 2, INSERT), setRef(3)];
      const table = after(tableWithSnapshots(1), ...foreign);
      assert.deepEqual([idsOf(table), listsWithoutSnapshot(foreign, table)], [[1, 3], []]);
    });
  }
});
