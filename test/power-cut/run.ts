import { parseArgs } from "node:util";
import { temporaryFolder } from "../support/coinlake.ts";
import { RecordedRun } from "./power-cut.ts";
import { skipWithoutStrace } from "./trace.ts";

const USAGE = `Records what a run of a lake does to files, cuts the power at random moments of it, and starts again from what a disk
would have then: what was synced, and by chance some of the rest.

  npm run -s test:power-cut -- [--seeds N] [--first N] [--records N]     50 seeds from 1 on, of a run of 120 records

Takes about ten seconds a seed. Exits 0 if nothing acknowledged was lost, and nothing doubled or changed. Needs Linux and strace.`;

const options = {
  seeds: { type: "string", default: "50" },
  first: { type: "string", default: "1" },
  records: { type: "string", default: "120" },
  help: { type: "boolean" },
} as const;
const { values } = parseArgs({ options });
const [seeds, first, records] = [values.seeds, values.first, values.records].map(Number) as [number, number, number];

if (values.help || ![seeds, first, records].every((value) => Number.isInteger(value) && value > 0)) {
  process.stdout.write(`${USAGE}\n`);
  process.exitCode = values.help ? 0 : 2;
} else if (skipWithoutStrace !== false) {
  process.stderr.write(`Skipped: ${skipWithoutStrace}\n`);
  process.exitCode = 2;
} else {
  const folder = temporaryFolder();
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  say(`recording a run in ${folder.path} ...`);
  const recorded = await RecordedRun.record(folder.path, records);
  const { operations, syncs } = recorded.size;
  say(`${operations} operations on files, of which ${syncs} made something durable`);
  try {
    for (let seed = first; seed < first + seeds; seed += 1) {
      const started_ms = performance.now();
      const { moment, acknowledged, kept_records } = await recorded
        .cut(seed, { is_by_command: true })
        .catch((error: unknown) => {
          say(`FAILED with seed ${seed}; again: npm run -s test:power-cut -- --first ${seed} --seeds 1`);
          throw error;
        });
      const kept = `${acknowledged.appended} records acknowledged, ${kept_records} kept`;
      say(
        `seed ${seed}: cut after ${(moment * 100).toFixed(1)} % of the run, ${kept} (${((performance.now() - started_ms) / 1000).toFixed(1)} s)`,
      );
    }
    process.stdout.write(`${seeds} power cuts: nothing acknowledged was lost, nothing was doubled or changed.\n`);
  } finally {
    await recorded.close();
    folder.remove();
  }
}
