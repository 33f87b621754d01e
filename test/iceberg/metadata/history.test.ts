import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  currentAt,
  HISTORY_PROPERTY,
  historyOf,
  historyProperty,
  historySince,
} from "../../../src/iceberg/metadata/history.ts";
import type { Long, TableMetadata } from "../../../src/iceberg/model.ts";
import { appendOf } from "../../catalog/lake.ts";
import { after, newTable, NOW_MS, tableWithSnapshots } from "./fixtures.ts";

const idsOf = (table: TableMetadata) => historyOf(table).map(({ snapshot_id }) => snapshot_id);
const remove = (...ids: Long[]) => ({ action: "remove-snapshots", "snapshot-ids": ids });

/** Removes snapshots as expiry does: one commit with the removal and the history property of the kept snapshots. */
function expire(table: TableMetadata, ...ids: Long[]): TableMetadata {
  const kept = table.snapshots.map((snapshot) => snapshot["snapshot-id"]).filter((id) => !ids.includes(id));
  return after(
    table,
    { action: "set-properties", updates: { [HISTORY_PROPERTY]: historyProperty(table, kept) } },
    remove(...ids),
  );
}

describe("the history of a table", () => {
  test("equals the snapshot log if no snapshot expired", () => {
    const table = tableWithSnapshots(3);
    assert.deepEqual(
      historyOf(table),
      table["snapshot-log"].map((entry) => ({ snapshot_id: entry["snapshot-id"], at_ms: entry["timestamp-ms"] })),
    );
    assert.deepEqual(historyOf(newTable()), []);
  });

  test("keeps entries before an expired snapshot, which the snapshot log drops, across repeated expiries", () => {
    const table = tableWithSnapshots(6);
    const once = expire(table, 3, 4);
    assert.deepEqual(
      once["snapshot-log"].map((entry) => entry["snapshot-id"]),
      [5, 6],
    );
    assert.deepEqual(
      historyOf(once),
      historyOf(table).filter(({ snapshot_id }) => ![3, 4].includes(Number(snapshot_id))),
    );
    const twice = expire(after(once, ...appendOf(7, 7, 6)), 1, 6);
    assert.deepEqual(idsOf(twice), [2, 5, 7]);
  });

  test("omits snapshots that another writer removed, and keeps the times of the others", () => {
    const table = after(expire(tableWithSnapshots(5), 2), remove(1, 4));
    assert.deepEqual(idsOf(table), [3, 5]);
    assert.equal(currentAt(table, Number(table.snapshots[0]?.["timestamp-ms"]))?.snapshot_id, 3);
  });

  test("lists a snapshot twice after a rollback to it", () => {
    const back = after(tableWithSnapshots(3), {
      action: "set-snapshot-ref",
      "ref-name": "main",
      type: "branch",
      "snapshot-id": 1,
    });
    assert.deepEqual(idsOf(expire(back, 2)), [1, 3, 1]);
    assert.equal(currentAt(expire(back, 2), NOW_MS)?.snapshot_id, 1);
  });

  test("continues after a given entry, even if that entry has expired", () => {
    const table = tableWithSnapshots(3);
    const since = (newer: TableMetadata, index: number) =>
      historySince(newer, historyOf(table)[index] ?? assert.fail()).map(({ snapshot_id }) => snapshot_id);
    const newer = after(table, ...appendOf(4, 4, 3), ...appendOf(5, 5, 4));
    assert.deepEqual([since(table, 2), since(newer, 2), since(newer, 0)], [[], [5], [2, 3, 5]]);
    assert.deepEqual([since(expire(newer, 3), 2), since(expire(newer, 2), 1)], [[5], [3, 5]]);
    const back = after(table, { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": 1 });
    assert.deepEqual([since(back, 2), since(back, 0)], [[1], [2, 3, 1]]);
  });

  test("keeps 64-bit snapshot ids exact", () => {
    const ids = [9223372036854775807n, 9223372036854775806n, 9223372036854775805n];
    let table = newTable();
    for (const [index, id] of ids.entries()) table = after(table, ...appendOf(id, index + 1, ids[index - 1] ?? null));
    const expired = expire(table, 9223372036854775806n);
    assert.match(
      expired.properties[HISTORY_PROPERTY] ?? "",
      /^\[\["9223372036854775807",\d+\],\["9223372036854775805",\d+\]\]$/,
    );
    assert.deepEqual(idsOf(expired), [9223372036854775807n, 9223372036854775805n]);
  });

  test("gives the snapshot current at a time: the last retained one until then, and none before the first", () => {
    const table = expire(tableWithSnapshots(4), 2, 3);
    const at = (id: number) => 1_790_000_000_000 + id;
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((id) => currentAt(table, at(id))?.snapshot_id ?? null),
      [null, 1, 1, 1, 4],
    );
  });

  for (const text of [
    "",
    "no JSON",
    "{}",
    "null",
    "5",
    "[1, null, {}]",
    '[["x", 5], ["1"], [1.5, 5], [-1, 5], ["1", "soon"], ["99999999999999999999", 1], ["1", 1e300]]',
  ]) {
    test(`ignores a malformed history property: ${text}`, () => {
      const table = after(tableWithSnapshots(2), { action: "set-properties", updates: { [HISTORY_PROPERTY]: text } });
      assert.deepEqual(idsOf(table), [1, 2]);
    });
  }

  test("accepts numeric ids, sorts entries by time and drops duplicates", () => {
    const text = "[[1, 1790000000001], [2, 1790000000001], [1, 1790000000000]]";
    const table = after(tableWithSnapshots(2), { action: "set-properties", updates: { [HISTORY_PROPERTY]: text } });
    assert.deepEqual(idsOf(table), [1, 1, 2, 2]);
  });
});
