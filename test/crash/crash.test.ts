import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { STEPS } from "../../src/base/failpoints.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { survive, type Survival } from "./crash.ts";
import { replayedMarket } from "./known-market.ts";
import { planEveryStep } from "./plan.ts";
import { skipWithoutProcesses } from "./processes.ts";

const SEED = 3;
const RECORDS = 900;

describe("A pipeline that is killed at every step, and at some random moments", { skip: skipWithoutProcesses }, () => {
  const folder = temporaryFolder();
  let survival: Survival;

  before(async () => {
    survival = await survive({
      folder: folder.path,
      seed: SEED,
      plan: planEveryStep(SEED),
      stream: replayedMarket,
      records: RECORDS,
      is_refreshed: false,
    });
  });
  after(() => folder.remove());

  test("died at each step, under way", () => {
    const reached = survival.lives.flatMap(({ kill: { moment }, life }) =>
      moment.kind === "step" && life.is_reached ? [moment.step] : [],
    );
    assert.deepEqual([...new Set(reached)].sort(), [...STEPS].sort());
    assert.ok(survival.records_before_drain < RECORDS, "the kills must not outlast the stream");
  });

  test("reconciles once drained, with every element counted as it was sent", () => {
    const { content, verification } = survival;
    const { bronze_records, accepted, duplicates, rejected } = verification.figures;
    assert.deepEqual(
      { bronze_records, accepted, duplicates, rejected },
      {
        bronze_records: content.records,
        accepted: content.accepted,
        duplicates: content.duplicates,
        rejected: content.rejected,
      },
    );
  });

  test("holds what was sent, by value, as PyIceberg reads it", () => {
    const compared = Object.entries(survival.comparison).filter(([name]) => name !== "rejected by reason");
    assert.deepEqual(
      compared.map(([name]) => name),
      ["bronze records", "accepted", "duplicates", "rejected", "facts", "minutes", "hours"],
    );
    for (const [name, part] of compared) {
      const { wanted, found, differences } = part as { wanted: number; found: number; differences: number };
      assert.ok(wanted > 0, `${name}: there was something to compare`);
      assert.deepEqual({ found, differences }, { found: wanted, differences: 0 }, name);
    }
  });
});
