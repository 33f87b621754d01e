import { systemClock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { LiveLake } from "../live/live-lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { cachedModels, compileModels, lastModels, type LiveModels } from "../transform/models.ts";
import { embeddedEngine } from "../transform/engine.ts";
import { DbtWorker } from "../transform/worker.ts";
import type { Output } from "./output.ts";

/** The live views as of now, for one command: opened, filled from the log, and closed whatever happens. */
export async function withLive<T>(
  lake: OpenLake,
  pipeline: Pipeline,
  output: Output,
  work: (live: LiveLake) => Promise<T>,
): Promise<T> {
  const live = await LiveLake.open({
    open: lake,
    pipeline,
    models: await modelsOf(lake, pipeline, output),
    clock: systemClock,
  });
  try {
    await live.catchUp();
    const { stalled, pending_records } = live.state();
    if (stalled !== null) output.warn(`the live views end ${pending_records} records before the log does: ${stalled}`);
    return await work(live);
  } finally {
    live.close();
  }
}

/** What a running pipeline compiled, if it did; else compiled now, without a change to the lake. */
async function modelsOf(lake: OpenLake, pipeline: Pipeline, output: Output): Promise<LiveModels> {
  const { project } = pipeline.transform;
  const known = cachedModels(project, lake.lake.dbt_folder) ?? lastModels(lake.lake.dbt_folder);
  if (known !== null) return known;
  output.say("dbt compiles the live views; a pipeline that was started once has done so ...");
  const worker = new DbtWorker({ project, engine: embeddedEngine(lake), folder: lake.lake.dbt_folder });
  try {
    return await compileModels(worker, project);
  } finally {
    await worker.close();
  }
}
