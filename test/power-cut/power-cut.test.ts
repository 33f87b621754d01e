import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { temporaryFolder } from "../support/coinlake.ts";
import { RecordedRun } from "./power-cut.ts";
import { skipWithoutStrace } from "./trace.ts";
import { workloadOf } from "./workloads.ts";

/** The first seed of each continues by command, as `npm run -s test:power-cut` does with all. */
const SEEDS: Readonly<Record<string, readonly number[]>> = { crypto: [1, 2, 3, 4, 5], ecommerce: [1, 2] };

for (const [pipeline, seeds] of Object.entries(SEEDS)) {
  describe(`A lake of ${pipeline} whose power is cut at any moment of a run`, { skip: skipWithoutStrace }, () => {
    const folder = temporaryFolder();
    let recorded: RecordedRun;

    before(async () => {
      recorded = await RecordedRun.record(folder.path, pipeline, workloadOf(pipeline).default_size);
    });
    after(async () => {
      await recorded?.close();
      folder.remove();
    });

    test("the record has every write, and what makes them durable", () => {
      const { operations, syncs } = recorded.size;
      assert.ok(syncs > 100 && operations > 10 * 100, JSON.stringify(recorded.size));
    });

    for (const seed of seeds) {
      test(`has all that was acknowledged, and goes on to the right rows: seed ${seed}`, async () => {
        const { kept_records, acknowledged } = await recorded.cut(seed, { is_by_command: seed === seeds[0] });
        assert.ok(kept_records >= acknowledged.appended);
      });
    }
  });
}
