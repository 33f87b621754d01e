import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_OFFSETS_PROPERTY, consumedOffsets, type OffsetFields } from "../../src/ingest/offsets.ts";
import type { Long, Snapshot } from "../../src/iceberg/model.ts";

interface Said {
  id: Long;
  parent?: Long;
  place?: object;
}

/** A table whose snapshots say these places, and whose property says another. */
function table(property: object | null, current: Long | null, ...said: Said[]): OffsetFields {
  const entry = (place: object | null | undefined): Record<string, string> =>
    place ? { [LOG_OFFSETS_PROPERTY]: JSON.stringify(place) } : {};
  const snapshots = said.map(({ id, parent, place }): Snapshot => ({
    "snapshot-id": id,
    ...(parent !== undefined && { "parent-snapshot-id": parent }),
    "sequence-number": 1,
    "timestamp-ms": 1,
    "manifest-list": "",
    summary: { operation: "append", ...entry(place) },
  }));
  return { properties: entry(property), "current-snapshot-id": current, snapshots };
}

test("a table's place is what its property says, and none where it says nothing", () => {
  assert.deepEqual(consumedOffsets(table(null, null)), {});
  assert.deepEqual(consumedOffsets(table({ "t/0": 5 }, 1, { id: 1 })), { "t/0": 5 });
});

test("of the property and the newest snapshot that says a place the greater counts, partition by partition", () => {
  const snapshots: Said[] = [
    { id: 1, place: { "t/0": 9 } },
    { id: 2, parent: 1, place: { "t/0": 7, "t/1": 3 } },
    { id: 3, parent: 2 },
  ];
  assert.deepEqual(consumedOffsets(table(null, 3, ...snapshots)), { "t/0": 7, "t/1": 3 });
  assert.deepEqual(consumedOffsets(table({ "t/0": 8, "t/1": 2, "u/0": 1 }, 3, ...snapshots)), {
    "t/0": 8,
    "t/1": 3,
    "u/0": 1,
  });
});

test("snapshots that did not lead to the current one say nothing of it, and expired ones end the search", () => {
  const snapshots: Said[] = [
    { id: 2, parent: 1, place: { "t/0": 7 } },
    { id: 3, parent: 1 },
  ];
  assert.deepEqual(consumedOffsets(table({ "t/0": 5 }, 3, ...snapshots)), { "t/0": 5 });
  assert.deepEqual(
    consumedOffsets(
      table({ "t/0": 5 }, 9_007_199_254_740_993n, {
        id: 9_007_199_254_740_993n,
        parent: 9_007_199_254_740_995n,
        place: { "t/0": 6 },
      }),
    ),
    { "t/0": 6 },
  );
});

test("a place that is no JSON object is refused", () => {
  assert.throws(
    () =>
      consumedOffsets({ properties: { [LOG_OFFSETS_PROPERTY]: "far" }, snapshots: [], "current-snapshot-id": null }),
    { code: "INVALID_OFFSETS" },
  );
});
