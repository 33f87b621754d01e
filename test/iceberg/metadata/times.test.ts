import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { currentAt } from "../../../src/iceberg/metadata/history.ts";
import { plausibleLog, withoutFutureTimes } from "../../../src/iceberg/metadata/times.ts";
import { applyUpdates } from "../../../src/iceberg/metadata/updates.ts";
import type { TableMetadata } from "../../../src/iceberg/model.ts";
import { appendOf } from "../../catalog/lake.ts";
import { newTable, NOW_MS } from "./fixtures.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A table with one commit per minute, each stamped by a clock with the given offset. */
function tableBy(offsets_ms: readonly number[], base: TableMetadata = newTable()): TableMetadata {
  return offsets_ms.reduce((table, offset_ms, index) => {
    const now_ms = NOW_MS + (index + 1) * MINUTE_MS + offset_ms;
    const id = table.snapshots.length + 1;
    const updates = appendOf(id, id, id === 1 ? null : id - 1);
    Object.assign(updates[0]?.["snapshot"] as object, { "timestamp-ms": now_ms });
    return applyUpdates(table, updates, now_ms);
  }, base);
}

const minutesOf = (timed: readonly { at_ms: number }[]) => timed.map(({ at_ms }) => (at_ms - NOW_MS) / MINUTE_MS);
const isRising = (times: readonly (number | bigint)[]) =>
  times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0));

describe("times in metadata", () => {
  for (const [name, off_ms] of [
    ["an hour ahead", HOUR_MS],
    ["a day ahead", DAY_MS],
    ["an hour behind", -HOUR_MS],
    ["a day behind", -DAY_MS],
  ] as const) {
    test(`strictly increase when the clock is ${name} for some commits`, () => {
      const offsets = [0, 0, off_ms, off_ms, 0, 0, 0];
      const versions = offsets.map((_, index) => tableBy(offsets.slice(0, index + 1)));
      assert.ok(isRising(versions.map((table) => table["last-updated-ms"])));
      assert.ok(isRising(versions.at(-1)?.["snapshot-log"].map((entry) => entry["timestamp-ms"]) ?? []));
    });

    test(`are replaced by the last plausible time where the clock was ${name} for some commits`, () => {
      const table = tableBy([0, 0, 0, off_ms, off_ms, 0, 0, 0]);
      assert.deepEqual(minutesOf(plausibleLog(table)), [1, 2, 3, 3, 3, 6, 7, 8]);
      assert.equal(currentAt(table, NOW_MS + 7.5 * MINUTE_MS)?.snapshot_id, 7);
      assert.equal(currentAt(table, NOW_MS + 1.5 * MINUTE_MS)?.snapshot_id, 1);
    });

    test(`are never in the future for readers once a clock that was ${name} is correct again`, () => {
      for (const offsets of [
        [0, 0, off_ms, off_ms],
        [0, 0, off_ms, off_ms, 0],
        [off_ms, off_ms],
        [off_ms, off_ms, 0],
      ]) {
        const stored = tableBy(offsets);
        const now_ms = NOW_MS + (offsets.length + 1) * MINUTE_MS;
        const table = withoutFutureTimes(stored, now_ms, now_ms - MINUTE_MS / 2);
        const times = [...table.snapshots, ...table["snapshot-log"], ...table["metadata-log"]].map(
          (item) => item["timestamp-ms"],
        );
        for (const time of [...times, table["last-updated-ms"]]) assert.ok(time < now_ms, `${time} is after ${now_ms}`);
        assert.ok(isRising(table["snapshot-log"].map((entry) => entry["timestamp-ms"])));
        assert.equal(table["snapshot-log"].at(-1)?.["snapshot-id"], stored["current-snapshot-id"]);
        assert.ok(table["last-updated-ms"] >= (table["snapshot-log"].at(-1)?.["timestamp-ms"] ?? Infinity));
        assert.equal(currentAt(table, now_ms)?.snapshot_id, stored["current-snapshot-id"]);
      }
    });
  }

  test("stay unchanged if they are consistent and none is in the future", () => {
    const table = tableBy([0, 0, 0]);
    assert.equal(withoutFutureTimes(table, NOW_MS + 4 * MINUTE_MS, NOW_MS), table);
    assert.deepEqual(minutesOf(plausibleLog(table)), [1, 2, 3]);
  });

  test("of a rollback are those of the rollback, not of the restored snapshot", () => {
    const back = { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": 1 };
    const table = applyUpdates(tableBy([0, 0]), [back], NOW_MS + 3 * MINUTE_MS);
    assert.deepEqual(minutesOf(plausibleLog(table)), [1, 2, 3]);
    assert.equal(currentAt(table, NOW_MS + 4 * MINUTE_MS)?.snapshot_id, 1);
  });

  test("of two commits within a millisecond differ, because DuckDB confuses equal ones", () => {
    const table = tableBy([0, -MINUTE_MS]);
    assert.deepEqual(
      table["snapshot-log"].map((entry) => Number(entry["timestamp-ms"]) - NOW_MS),
      [MINUTE_MS, MINUTE_MS + 1],
    );
  });
});
