import { openSync, writeFileSync, writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { openLake } from "../../src/lake/open.ts";
import { openOrCreateLake, rememberAsCurrent } from "../../src/lake/lake.ts";
import { embeddedMaintainer } from "../../src/maintain/embedded.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { embeddedEngine } from "../../src/transform/engine.ts";
import { DbtWorker } from "../../src/transform/worker.ts";
import { append, build, digest, heads, ingest, tableNames, type Digests } from "./lake.ts";
import { workloadOf } from "./workloads.ts";

/**
 * The recorded run. Arguments: PIPELINE FOLDER SIZE ROUNDS DATA MARKS DIGESTS. Runs rounds of appends, ingest, a dbt
 * increment and, from the second on, maintenance. Writes each acknowledgement to MARKS, one per line, so that the trace
 * has its position too.
 */
const [name = "", folder = "", size = "", rounds = "", data_folder = "", marks_file = "", digests_file = ""] =
  process.argv.slice(2);
const workload = workloadOf(name).open(folder, Number(size));
const { pipeline } = workload;
const marks = openSync(marks_file, "a");
const mark = (acknowledged: object): void => void writeSync(marks, `${JSON.stringify(acknowledged)}\n`);

const lake = openOrCreateLake(data_folder, workload.lake);
rememberAsCurrent(data_folder, lake);
const open = await openLake(lake);
mark({ lake: lake.name });
const worker = new DbtWorker({
  project: pipeline.transform.project,
  engine: embeddedEngine(open),
  folder: open.lake.dbt_folder,
});
const store = new MaintenanceStore(lake.folder);
const signal = new AbortController().signal;
const maintainer = embeddedMaintainer({ open, store, clock: systemClock, signal });
let appended = 0;
let digests: Digests = { now: {}, at: {} };
for (let round = 1; round <= Number(rounds); round += 1) {
  await append(open, pipeline, await workload.arriving(round / Number(rounds)), (count) =>
    mark({ appended: (appended += count) }),
  );
  mark({ remembered: appended });
  await ingest(open, pipeline);
  mark({ appended, heads: await heads(open) });
  await build(open, pipeline, worker);
  mark({ appended, heads: await heads(open) });
  digests = await digest(open, digests.at);
  if (round === 1) continue;
  for (const table of await tableNames(open)) {
    await maintainer.maintain(table, ["compact"], { compact: { fan_in: 2 } });
    mark({ appended, heads: await heads(open) });
  }
  digests = await digest(open, digests.at);
  for (const table of await tableNames(open))
    await maintainer.maintain(table, ["expire", "orphans"], { expire: { policy: keepWithin(0) } });
  mark({ appended, heads: await heads(open) });
}
writeFileSync(digests_file, JSON.stringify(digests));
await worker.close();
store.close();
await open.close();
