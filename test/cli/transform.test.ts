import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { claimLake } from "../../src/lake/ownership.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { coinlake, startCoinlake } from "../support/coinlake.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";

interface Carried {
  layer: string | null;
  by: string;
}

describe("coinlake transform", () => {
  let lakes: Lakes;
  let lake: TestLake;
  let records: SourceRecord[];
  const run = (...args: string[]) => coinlake(["transform", "--data", lake.data_folder, "--json", ...args]);

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    records = await marketStream(7);
  });
  after(() => lakes.close());

  test("has nothing to do in a lake without bronze", async () => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout) as Carried).by, "nobody");
  });

  test("builds the rows of bronze that silver and gold lack, once", async () => {
    await lake.append(records.slice(0, records.length / 2));
    await lake.ingest();
    for (const by of ["this", "nobody"]) {
      const { code, stdout, stderr } = await run();
      assert.equal(code, 0, stderr);
      assert.equal((JSON.parse(stdout) as Carried).by, by);
    }
    assert.equal((await lake.reconcile()).silver_waiting, 0);
  });

  test("waits for the process that owns the lake until it has built what bronze holds", async () => {
    await lake.append(records.slice(records.length / 2));
    await lake.ingest();
    const claim = claimLake(lake.open.lake, "start");
    try {
      const { child, finished } = startCoinlake([
        "transform",
        "--layer",
        "silver",
        "--data",
        lake.data_folder,
        "--json",
      ]);
      let said = "";
      for await (const data of child.stderr ?? []) {
        said += String(data);
        if (/coinlake start \(process \d+\) owns this lake; waiting for it to build silver/.test(said)) break;
      }
      await lake.catchUp();
      const { code, stdout, stderr } = await finished;
      assert.equal(code, 0, stderr);
      const { layer, by } = JSON.parse(stdout) as Carried;
      assert.deepEqual([layer, by], ["silver", "another"]);
    } finally {
      claim.release();
    }
  });
});
