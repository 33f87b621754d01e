import { parseArgs } from "node:util";
import { temporaryFolder } from "../support/coinlake.ts";
import { RecordedRun } from "./power-cut.ts";
import { skipWithoutStrace } from "./trace.ts";
import { WORKLOADS } from "./workloads.ts";

const USAGE = `\
Records what a run of a lake does to files, cuts the power at random moments of it, and starts again from what a disk
would have then: what was synced, and by chance some of the rest. Half of the cuts come between two acknowledgements \
in a row.

  npm run -s test:power-cut -- [--pipeline NAME] [--seeds N] [--first N] [--size N]

50 seeds from 1 on, of a run of the crypto pipeline with 120 records. With --pipeline ecommerce, 18 files of orders \
arrive in a
folder: twice, renamed, late and half-written; the cut may make the source forget files, which it then reads again.

Takes 10 to 20 seconds a seed. Exits 0 if nothing acknowledged was lost, and nothing doubled or changed. \
Needs Linux and strace.`;

const ROUNDS = 3;
const options = {
  pipeline: { type: "string", default: "crypto" },
  seeds: { type: "string", default: "50" },
  first: { type: "string", default: "1" },
  size: { type: "string" },
  help: { type: "boolean" },
} as const;
const { values } = parseArgs({ options });
const { pipeline } = values;
const workload = WORKLOADS[pipeline];
const [seeds, first, size] = [values.seeds, values.first, values.size ?? workload?.default_size].map(Number) as [
  number,
  number,
  number,
];

if (values.help || ![seeds, first, size].every((value) => Number.isInteger(value) && value > 0)) {
  process.stdout.write(`${USAGE}\n`);
  process.exitCode = values.help ? 0 : 2;
} else if (skipWithoutStrace !== false) {
  process.stderr.write(`Skipped: ${skipWithoutStrace}\n`);
  process.exitCode = 2;
} else {
  const folder = temporaryFolder();
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  say(`recording a run with ${size} ${workload?.unit} in ${folder.path} ...`);
  const recorded = await RecordedRun.record(folder.path, { pipeline, size, rounds: ROUNDS });
  const { operations, syncs } = recorded.size;
  say(`${operations} operations on files, of which ${syncs} made something durable`);
  let repeated = 0;
  try {
    for (let seed = first; seed < first + seeds; seed += 1) {
      const started_ms = performance.now();
      const { moment, acknowledged, kept_records, repeated_elements } = await recorded
        .cut(seed, { by: "command", is_rebuilt: true })
        .catch((error: unknown) => {
          say(
            `FAILED with seed ${seed}; again: npm run -s test:power-cut -- --pipeline ${pipeline} ` +
              `--first ${seed} --seeds 1 --size ${size}`,
          );
          throw error;
        });
      repeated += repeated_elements;
      const kept = `${acknowledged.appended} records acknowledged, ${kept_records} kept`;
      say(
        `seed ${seed}: cut after ${(moment * 100).toFixed(1)} % of the run, ${kept}, ` +
          `${repeated_elements} elements read again (${((performance.now() - started_ms) / 1000).toFixed(1)} s)`,
      );
    }
    process.stdout.write(
      `${seeds} power cuts: nothing acknowledged was lost, nothing was doubled or changed; ` +
        `${repeated} elements were read again.\n`,
    );
  } finally {
    await recorded.close();
    folder.remove();
  }
}
