import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { LOG_OFFSETS_PROPERTY } from "../../src/iceberg/metadata/log-offsets.ts";
import { Transform } from "../../src/transform/transform.ts";
import { openLake, PRICE_SCHEMA, type Lake } from "../catalog/lake.ts";

let lake: Lake;
before(async () => {
  lake = await openLake();
  for (const [table, next] of [
    [crypto.bronze.table, 10],
    [crypto.reconciliation.accepted, 4],
  ] as const) {
    const identifier = tableNamed(table);
    await lake.catalog.createNamespace(identifier.namespace);
    await lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA });
    await consumed(table, next);
  }
});
after(() => lake.close());

async function consumed(table: string, next: number): Promise<void> {
  const updates = { [LOG_OFFSETS_PROPERTY]: JSON.stringify({ "t/0": next }) };
  await lake.catalog.commit([
    { identifier: tableNamed(table), requirements: [], updates: [{ action: "set-properties", updates }] },
  ]);
}

/** Simulates increments that move silver to these offsets in turn, and then no further. */
async function catchUp(...offsets: number[]): Promise<number> {
  let runs = 0;
  const worker = {
    async run() {
      const next = offsets[runs];
      runs += 1;
      assert.ok(runs < 10, "it goes on for ever");
      if (next !== undefined) await consumed(crypto.reconciliation.accepted, next);
      return { is_success: true, seconds: 1, cpu_seconds: 1, nodes: [] };
    },
  };
  await new Transform({ pipeline: crypto, catalog: lake.catalog, worker }).catchUp();
  return runs;
}

test("increments repeat until silver has bronze's offsets, and fail if they make no progress", async () => {
  await assert.rejects(catchUp(6, 6), {
    code: "BUILD_STALLED",
    is_retryable: true,
    message: /t\/0 from offset 6 to 10/,
  });
  assert.equal(await catchUp(8, 10), 2);
  assert.equal(await catchUp(), 1, "the first one looks");
});
