import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { TableMetadata, Update } from "../../../src/iceberg/model.ts";
import { appendOf } from "../../catalog/lake.ts";
import { after, emptyMetadata, LOCATION, newTable, NOW_MS, tableWithSnapshots, UUID } from "./fixtures.ts";

const setRef = (name: string, snapshot_id: number, extra: object = {}): Update => ({
  action: "set-snapshot-ref",
  "ref-name": name,
  type: "branch",
  "snapshot-id": snapshot_id,
  ...extra,
});
const logOf = (table: TableMetadata) => table["snapshot-log"].map((entry) => entry["snapshot-id"]);
const idsOf = (table: TableMetadata) => table.snapshots.map((snapshot) => snapshot["snapshot-id"]);

describe("adding snapshots", () => {
  test("an append advances main, the sequence number and the snapshot log", () => {
    const table = tableWithSnapshots(3);
    assert.deepEqual(idsOf(table), [1, 2, 3]);
    assert.deepEqual(logOf(table), [1, 2, 3]);
    assert.equal(table["current-snapshot-id"], 3);
    assert.equal(table["last-sequence-number"], 3);
    assert.deepEqual(table.refs, { main: { "snapshot-id": 3, type: "branch" } });
  });

  test("the snapshot log gets only the last of several snapshots in one commit", () => {
    const table = after(tableWithSnapshots(1), ...appendOf(2, 2, 1), ...appendOf(3, 3, 2));
    assert.deepEqual(idsOf(table), [1, 2, 3]);
    assert.deepEqual(logOf(table), [1, 3]);
  });

  test("a stale sequence number is a commit conflict", () => {
    for (const sequence_number of [0, 1, 2]) {
      assert.throws(() => after(tableWithSnapshots(2), ...appendOf(9, sequence_number, 2)), {
        code: "COMMIT_CONFLICT",
      });
    }
  });

  test("a duplicate id, a snapshot without a manifest list and a table without a schema are rejected", () => {
    assert.throws(() => after(tableWithSnapshots(2), ...appendOf(1, 3, 2)), { code: "INVALID_REQUEST" });
    assert.throws(() => after(tableWithSnapshots(2), ...appendOf(1n, 3, 2)), { code: "INVALID_REQUEST" });
    assert.throws(
      () =>
        after(newTable(), {
          action: "add-snapshot",
          snapshot: { "snapshot-id": 1, "sequence-number": 1, "timestamp-ms": 5 },
        }),
      { code: "INVALID_REQUEST" },
    );
    assert.throws(() => after(emptyMetadata(LOCATION, UUID), ...appendOf(1, 1, null)), { code: "INVALID_REQUEST" });
  });

  test("the snapshot log stays in time order when the clock was set back", () => {
    const [add, ref] = appendOf(2, 2, 1) as [Update, Update];
    const early = { ...add, snapshot: { ...(add["snapshot"] as object), "timestamp-ms": 1_000 } };
    const table = after(tableWithSnapshots(1), early, ref);
    const [first, second] = table["snapshot-log"];
    assert.ok(first !== undefined && second !== undefined && second["timestamp-ms"] >= first["timestamp-ms"]);
  });
});

describe("row lineage in format version 3", () => {
  const third = after(newTable({ "format-version": "3" }));
  const rows = (id: number, first_row_id: unknown, added_rows: unknown): Update[] => {
    const [add, ref] = appendOf(id, id, null) as [Update, Update];
    return [
      { ...add, snapshot: { ...(add["snapshot"] as object), "first-row-id": first_row_id, "added-rows": added_rows } },
      ref,
    ];
  };

  test("row ids continue from snapshot to snapshot", () => {
    const table = after(after(third, ...rows(1, 0, 250)), ...rows(2, 250, 10));
    assert.equal(table["next-row-id"], 260);
    assert.equal(after(third, ...rows(1, 2n ** 60n, 1))["next-row-id"], 2n ** 60n + 1n);
  });

  test("row ids below the table's next row id are a conflict, missing ones a bad request", () => {
    const table = after(third, ...rows(1, 0, 250));
    assert.throws(() => after(table, ...rows(2, 249, 1)), { code: "COMMIT_CONFLICT" });
    assert.throws(() => after(table, ...rows(2, undefined, 1)), { code: "INVALID_REQUEST" });
    assert.throws(() => after(table, ...rows(2, 250, undefined)), { code: "INVALID_REQUEST" });
  });
});

describe("references", () => {
  test("a rollback makes an old snapshot current, logged at the time of the rollback", () => {
    const table = after(tableWithSnapshots(3), setRef("main", 1));
    assert.equal(table["current-snapshot-id"], 1);
    assert.deepEqual(logOf(table), [1, 2, 3, 1]);
    assert.equal(table["snapshot-log"].at(-1)?.["timestamp-ms"], NOW_MS);
  });

  test("branches and tags keep their retention settings and do not change the snapshot log", () => {
    const table = after(
      tableWithSnapshots(2),
      setRef("trial", 1, { "min-snapshots-to-keep": 3, "max-snapshot-age-ms": 1000, "max-ref-age-ms": null }),
      setRef("release", 2, { type: "tag", "max-ref-age-ms": 9 }),
    );
    assert.deepEqual(table.refs["trial"], {
      "snapshot-id": 1,
      type: "branch",
      "min-snapshots-to-keep": 3,
      "max-snapshot-age-ms": 1000,
    });
    assert.deepEqual(table.refs["release"], { "snapshot-id": 2, type: "tag", "max-ref-age-ms": 9 });
    assert.deepEqual(logOf(table), [1, 2]);
  });

  test("references to missing snapshots, and references with invalid values, are rejected", () => {
    const table = tableWithSnapshots(2);
    for (const bad of [
      setRef("main", 7),
      setRef("main", 1, { type: "tag" }),
      setRef("b", 1, { type: "twig" }),
      setRef("b", 1, { "max-ref-age-ms": 0 }),
      setRef("t", 1, { type: "tag", "min-snapshots-to-keep": 1 }),
    ]) {
      assert.throws(() => after(table, bad), { code: "INVALID_REQUEST" });
    }
  });

  test("setting a reference to its current snapshot, or removing a missing one, changes nothing", () => {
    const table = tableWithSnapshots(2);
    assert.equal(after(table, setRef("main", 2), { action: "remove-snapshot-ref", "ref-name": "nothing" }), table);
  });

  test("removing main empties the table and keeps its snapshots", () => {
    const table = after(tableWithSnapshots(2), { action: "remove-snapshot-ref", "ref-name": "main" });
    assert.equal(table["current-snapshot-id"], null);
    assert.deepEqual(table.refs, {});
    assert.deepEqual(idsOf(table), [1, 2]);
  });
});

describe("removing snapshots", () => {
  test("drops them and all earlier entries from the snapshot log", () => {
    assert.deepEqual(
      logOf(after(tableWithSnapshots(4), { action: "remove-snapshots", "snapshot-ids": [1] })),
      [2, 3, 4],
    );
    assert.deepEqual(
      logOf(after(tableWithSnapshots(4), { action: "remove-snapshots", "snapshot-ids": [2n, 99] })),
      [3, 4],
    );
  });

  test("also removes their references and statistics", () => {
    const file = (snapshot_id: number) => ({
      "snapshot-id": snapshot_id,
      "statistics-path": `file:///s${snapshot_id}`,
      "file-size-in-bytes": 1,
    });
    const table = after(
      tableWithSnapshots(3),
      setRef("old", 1, { type: "tag" }),
      { action: "set-statistics", statistics: file(1) },
      { action: "set-statistics", statistics: file(3) },
      { action: "set-partition-statistics", "partition-statistics": file(1) },
    );
    const removed = after(table, { action: "remove-snapshots", "snapshot-ids": [1, 2] });
    assert.deepEqual(Object.keys(removed.refs), ["main"]);
    assert.deepEqual(removed["statistics"], [file(3)]);
    assert.deepEqual(removed["partition-statistics"], []);
    assert.deepEqual(logOf(removed), [3]);
  });

  test("empties the table if the current one is removed", () => {
    const table = after(tableWithSnapshots(2), { action: "remove-snapshots", "snapshot-ids": [2] });
    assert.equal(table["current-snapshot-id"], null);
    assert.deepEqual(logOf(table), []);
  });
});

test("metadata stays consistent under any sequence of appends, rollbacks and removals", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append"), pick: fc.nat(20) }),
    fc.record({ kind: fc.constant("double append"), pick: fc.nat(20) }),
    fc.record({ kind: fc.constant("delete and append"), pick: fc.nat(20) }),
    fc.record({ kind: fc.constant("rollback"), pick: fc.nat(20) }),
    fc.record({ kind: fc.constant("tag"), pick: fc.nat(20) }),
    fc.record({ kind: fc.constant("remove"), pick: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      let table = newTable();
      let next = 1;
      for (const { kind, pick } of steps) {
        const ids = idsOf(table);
        const picked = Number(ids[pick % Math.max(ids.length, 1)] ?? 0);
        const parent = table["current-snapshot-id"];
        if (kind === "append") table = after(table, ...appendOf(next, next, parent));
        if (kind === "double append")
          table = after(table, ...appendOf(next, next, parent), ...appendOf(next + 1, next + 1, next));
        if (kind === "delete and append") {
          const [add, ref] = appendOf(next, next, parent) as [Update, Update];
          const marking = {
            ...add,
            snapshot: { ...(add["snapshot"] as object), summary: { operation: "delete", "added-delete-files": "1" } },
          };
          table = after(table, marking, ref, ...appendOf(next + 1, next + 1, next));
          assert.deepEqual(idsOf(table), [...ids, next + 1]);
          assert.equal(table.snapshots.at(-1)?.["parent-snapshot-id"] ?? null, parent);
          assert.equal(table["last-sequence-number"], next + 1);
        }
        if (kind === "rollback" && picked > 0) table = after(table, setRef("main", picked));
        if (kind === "tag" && picked > 0) table = after(table, setRef(`tag-${pick}`, picked, { type: "tag" }));
        if (kind === "remove" && picked > 0)
          table = after(table, { action: "remove-snapshots", "snapshot-ids": [picked] });
        next += 2;
        const known = new Set(idsOf(table));
        assert.ok(Object.values(table.refs).every((ref) => known.has(ref["snapshot-id"])));
        assert.equal(table["current-snapshot-id"], table.refs["main"]?.["snapshot-id"] ?? null);
        assert.ok(logOf(table).every((id) => known.has(id)));
        const times = table["snapshot-log"].map((entry) => Number(entry["timestamp-ms"]));
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        );
        if (table["current-snapshot-id"] !== null) assert.equal(logOf(table).at(-1), table["current-snapshot-id"]);
      }
    }),
  );
});
