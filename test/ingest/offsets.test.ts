import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_OFFSETS_PROPERTY, consumedOffsets, type OffsetFields } from "../../src/iceberg/metadata/log-offsets.ts";
import type { Long, Snapshot } from "../../src/iceberg/model.ts";

interface StatedOffsets {
  id: Long;
  parent?: Long;
  offsets?: object;
}

/** A table whose snapshots have these committed offsets, and whose property has others. */
function table(property: object | null, current: Long | null, ...stated: StatedOffsets[]): OffsetFields {
  const entry = (offsets: object | null | undefined): Record<string, string> =>
    offsets ? { [LOG_OFFSETS_PROPERTY]: JSON.stringify(offsets) } : {};
  const snapshots = stated.map(({ id, parent, offsets }): Snapshot => ({
    "snapshot-id": id,
    ...(parent !== undefined && { "parent-snapshot-id": parent }),
    "sequence-number": 1,
    "timestamp-ms": 1,
    "manifest-list": "",
    summary: { operation: "append", ...entry(offsets) },
  }));
  return { properties: entry(property), "current-snapshot-id": current, snapshots };
}

test("a table's consumed offsets are those of its property; without one there are none", () => {
  assert.deepEqual(consumedOffsets(table(null, null)), {});
  assert.deepEqual(consumedOffsets(table({ "t/0": 5 }, 1, { id: 1 })), { "t/0": 5 });
});

test("consumed offsets are the greater of the property and the newest snapshot with offsets, by partition", () => {
  const snapshots: StatedOffsets[] = [
    { id: 1, offsets: { "t/0": 9 } },
    { id: 2, parent: 1, offsets: { "t/0": 7, "t/1": 3 } },
    { id: 3, parent: 2 },
  ];
  assert.deepEqual(consumedOffsets(table(null, 3, ...snapshots)), { "t/0": 7, "t/1": 3 });
  assert.deepEqual(consumedOffsets(table({ "t/0": 8, "t/1": 2, "u/0": 1 }, 3, ...snapshots)), {
    "t/0": 8,
    "t/1": 3,
    "u/0": 1,
  });
});

test("snapshots outside the current one's history do not count, and an expired one ends the search", () => {
  const snapshots: StatedOffsets[] = [
    { id: 2, parent: 1, offsets: { "t/0": 7 } },
    { id: 3, parent: 1 },
  ];
  assert.deepEqual(consumedOffsets(table({ "t/0": 5 }, 3, ...snapshots)), { "t/0": 5 });
  assert.deepEqual(
    consumedOffsets(
      table({ "t/0": 5 }, 9_007_199_254_740_993n, {
        id: 9_007_199_254_740_993n,
        parent: 9_007_199_254_740_995n,
        offsets: { "t/0": 6 },
      }),
    ),
    { "t/0": 6 },
  );
});

test("offsets that are not a JSON object are rejected", () => {
  assert.throws(
    () =>
      consumedOffsets({ properties: { [LOG_OFFSETS_PROPERTY]: "far" }, snapshots: [], "current-snapshot-id": null }),
    { code: "INVALID_OFFSETS" },
  );
});
