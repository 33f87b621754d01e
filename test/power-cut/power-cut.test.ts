import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { temporaryFolder } from "../support/coinlake.ts";
import { RecordedRun } from "./power-cut.ts";
import { skipWithoutStrace } from "./trace.ts";

const RECORDS = 120;
const SEEDS = [1, 2, 3, 4, 5];

describe("A lake whose power is cut at any moment of a run", { skip: skipWithoutStrace }, () => {
  const folder = temporaryFolder();
  let recorded: RecordedRun;

  before(async () => {
    recorded = await RecordedRun.record(folder.path, RECORDS);
  });
  after(async () => {
    await recorded?.close();
    folder.remove();
  });

  test("the record has every write, and what makes them durable", () => {
    const { operations, syncs } = recorded.size;
    assert.ok(syncs > 100 && operations > 10 * 100, JSON.stringify(recorded.size));
  });

  for (const seed of SEEDS) {
    test(`has all that was acknowledged, and goes on to the same rows: seed ${seed}`, async () => {
      const { kept_records, acknowledged } = await recorded.cut(seed, { is_by_command: seed === SEEDS[0] });
      assert.ok(kept_records >= acknowledged.appended);
    });
  }
});
