import assert from "node:assert/strict";
import { test } from "node:test";
import {
  canonicalOffsets,
  coversOffsets,
  equalOffsets,
  formatOffsets,
  maxOffsets,
  minOffsets,
  offsetsOfTopic,
  parseOffsets,
  parsePartitionKey,
  partitionKey,
  pendingRecords,
  recordsBetween,
  withOffsetsOfTopic,
} from "../../src/log/offsets.ts";

test("Offsets round-trip as JSON, and other text is invalid.", () => {
  assert.deepEqual(parseOffsets(formatOffsets({ "t/0": 5 })), { "t/0": 5 });
  assert.deepEqual(parseOffsets(undefined), {});
  for (const text of ["far", "[]", "null", "3", ""]) assert.equal(parseOffsets(text), null, text);
});

test("A partition's key is split at its last slash.", () => {
  assert.deepEqual(parsePartitionKey(partitionKey("a/b", 12)), { topic: "a/b", partition: 12 });
  assert.equal(parsePartitionKey("none").partition, NaN);
});

test("The minimum has the partitions of the first offsets, the maximum those of both; a missing one is 0.", () => {
  const [a, b] = [
    { "t/0": 5, "t/1": 2 },
    { "t/0": 3, "t/2": 1 },
  ];
  assert.deepEqual(minOffsets([a, b]), { "t/0": 3, "t/1": 0 });
  assert.deepEqual(minOffsets([]), {});
  assert.deepEqual(maxOffsets(a, b), { "t/0": 5, "t/1": 2, "t/2": 1 });
});

test("Offsets cover others that are greater in no partition, and the records between two offsets are counted.", () => {
  assert.ok(coversOffsets({ "t/0": 5 }, { "t/0": 5 }));
  assert.ok(coversOffsets({ "t/0": 5 }, { "t/1": 0 }));
  assert.ok(!coversOffsets({ "t/0": 5 }, { "t/0": 4, "t/1": 1 }));
  assert.equal(recordsBetween({ "t/0": 5 }, { "t/0": 7, "t/1": 3 }), 5);
  assert.equal(recordsBetween({ "t/0": 9 }, { "t/0": 7 }), 0);
});

test("Equality and the canonical text ignore the order of partitions.", () => {
  const [a, b] = [
    { "t/0": 1, "t/1": 2 },
    { "t/1": 2, "t/0": 1 },
  ];
  assert.ok(equalOffsets(a, b));
  assert.equal(canonicalOffsets(a), canonicalOffsets(b));
  assert.ok(!equalOffsets(a, { "t/0": 1 }));
  assert.ok(!equalOffsets({ "t/0": 1 }, a));
});

test("One topic's offsets are extracted and replaced without changing those of others.", () => {
  const offsets = { "t/0": 5, "t/1": 2, "u/0": 9 };
  const own = offsetsOfTopic(offsets, "t");
  assert.deepEqual(Object.fromEntries(own), { 0: 5, 1: 2 });
  assert.deepEqual(withOffsetsOfTopic(offsets, "t", new Map([[1, 3]])), { "t/0": 5, "t/1": 3, "u/0": 9 });
  assert.equal(
    pendingRecords(own, [
      { partition: 0, begin: 0, end: 8 },
      { partition: 2, begin: 4, end: 6 },
    ]),
    5,
  );
});
