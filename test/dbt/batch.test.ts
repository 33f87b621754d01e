import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { logOffsets } from "../../src/transform/offsets.ts";
import { Lakes, TOPIC } from "./lake.ts";

let lakes: Lakes;
before(async () => {
  lakes = await Lakes.open();
});
after(() => lakes.close());

test("an increment ends before the record that would exceed a read's byte limit, however small the rest", async () => {
  const lake = await lakes.fresh();
  const sizes_bytes = [60_000, ...Array.from({ length: 7 }, () => 10_000), ...Array.from({ length: 10_000 }, () => 5)];
  await lake.append(
    sizes_bytes.map((size_bytes) => ({
      key: "x",
      source: "a test",
      payload: Buffer.alloc(size_bytes, "x"),
      ingested_at_us: Date.now() * 1000,
    })),
  );
  await lake.ingest();
  const ends: (number | undefined)[] = [];
  for (let run = 0; run < 3; run += 1) {
    await lake.increment({ max_payload_bytes_at_once: 50_000 });
    ends.push((await logOffsets(lake.open.catalog, crypto.reconciliation.accepted))[`${TOPIC}/0`]);
  }
  // The first record is read at any size; five large ones reach the limit of one read.
  assert.deepEqual(ends, [1, 6, 10_008]);
});
