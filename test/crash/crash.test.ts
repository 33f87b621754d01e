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

describe("A pipeline that is killed at every failpoint and at random moments", { skip: skipWithoutProcesses }, () => {
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

  test("was killed at every failpoint before the stream ended", () => {
    const reached = survival.lives.flatMap(({ kill: { moment }, life }) =>
      moment.kind === "step" && life.is_reached ? [moment.step] : [],
    );
    assert.deepEqual([...new Set(reached)].sort(), [...STEPS].sort());
    assert.ok(survival.records_before_drain < RECORDS, "the kills must not outlast the stream");
  });

  test("reconciles after the drain, with the counts of elements that were sent", () => {
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

  test("has the values that were sent, as read by PyIceberg", () => {
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
