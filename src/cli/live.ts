import { systemClock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { LiveLake } from "../live/live-lake.ts";
import { haveNamedModels } from "../live/shape.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { cachedModels, compileModels, lastModels, type LiveModels } from "../transform/models.ts";
import { embeddedEngine } from "../transform/engine.ts";
import { DbtWorker } from "../transform/worker.ts";
import type { Output } from "./output.ts";

/** Opens the live views for one command, fills them from the log, and always closes them. */
export async function withLive<T>(
  open: OpenLake,
  pipeline: Pipeline,
  output: Output,
  work: (live: LiveLake) => Promise<T>,
): Promise<T> {
  const live = await LiveLake.open({
    open,
    pipeline,
    models: await modelsOf(open, pipeline, output),
    clock: systemClock,
  });
  try {
    await live.catchUp();
    const { stalled, pending_records } = live.state();
    if (stalled !== null) output.warn(`the live views lag the log by ${pending_records} records: ${stalled}`);
    return await work(live);
  } finally {
    live.close();
  }
}

/**
 * The models that a pipeline compiled earlier. Without them, or if they lack a model that the pipeline names, compiles
 * the models without changing the lake.
 */
async function modelsOf(open: OpenLake, pipeline: Pipeline, output: Output): Promise<LiveModels> {
  const { project } = pipeline.transform;
  const known = cachedModels(project, open.lake.dbt_folder) ?? lastModels(open.lake.dbt_folder);
  if (known !== null && haveNamedModels(pipeline, known)) return known;
  output.say("compiling the live views with dbt (the first `npm start` of a lake caches them) ...");
  const worker = new DbtWorker({ project, engine: embeddedEngine(open), folder: open.lake.dbt_folder });
  try {
    return await compileModels(worker, project);
  } finally {
    await worker.close();
  }
}
