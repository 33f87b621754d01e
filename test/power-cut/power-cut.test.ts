import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { temporaryFolder } from "../support/coinlake.ts";
import { RecordedRun, type Cut, type RunOptions } from "./power-cut.ts";
import { skipWithoutStrace } from "./trace.ts";

interface Example extends RunOptions {
  /** The first continues by command, as `npm run -s test:power-cut` does with all. */
  seeds: readonly number[];
  /** What else holds after the first cut. */
  check?(first: Cut): void;
}

/** A sample: `npm run -s test:power-cut` takes any number of seeds, and compares a rebuilt lake too. */
const EXAMPLES: readonly Example[] = [
  { pipeline: "crypto", size: 120, rounds: 3, seeds: [1, 2, 3, 4, 5] },
  {
    pipeline: "ecommerce",
    size: 12,
    rounds: 2,
    // The first cuts while the second half of the files is read, and no unsynced change survives.
    seeds: [60],
    check({ acknowledged: { appended, remembered }, repeated_elements }) {
      assert.ok(0 < remembered && remembered < appended, "the cut came while files were read");
      assert.ok(repeated_elements > 0, "the source had forgotten files");
    },
  },
];

for (const { seeds, check, ...run } of EXAMPLES) {
  describe(`A lake of ${run.pipeline} whose power is cut at any moment of a run`, { skip: skipWithoutStrace }, () => {
    const folder = temporaryFolder();
    let recorded: RecordedRun;

    before(async () => {
      recorded = await RecordedRun.record(folder.path, run);
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
        const is_first = seed === seeds[0];
        const cut = await recorded.cut(seed, { by: is_first ? "command" : "components", is_rebuilt: false });
        assert.ok(cut.kept_records >= cut.acknowledged.appended);
        if (is_first) check?.(cut);
      });
    }
  });
}
