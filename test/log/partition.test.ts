import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { partitionOf } from "../../src/log/partition.ts";

describe("The partition of a key", () => {
  it("never changes, because stored logs depend on it.", () => {
    assert.deepEqual(
      ["", "bitcoin", "ethereum", "poll", "ü", "🪙"].map((key) => partitionOf(key, 16)),
      [5, 1, 14, 2, 1, 8],
    );
  });

  it("is always a valid partition number.", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 64 }), (key, partitions) => {
        const partition = partitionOf(key, partitions);
        return Number.isInteger(partition) && partition >= 0 && partition < partitions;
      }),
    );
  });

  it("spreads many keys evenly.", () => {
    const counts = Array.from({ length: 8 }, () => 0);
    for (let i = 0; i < 8000; i += 1) counts[partitionOf(`coin-${i}`, 8)]! += 1;
    for (const count of counts) assert.ok(count > 800 && count < 1200, `counts: ${counts.join(", ")}`);
  });
});
