import { onAbort } from "../base/abortable.ts";
import { join } from "node:path";
import type { OpenLake } from "../lake/open.ts";
import { embeddedEngine } from "../transform/engine.ts";
import { prepareModels, type LiveModels } from "../transform/models.ts";
import { DbtWorker } from "../transform/worker.ts";

/**
 * Compiles the models for the live tail, which is DuckDB's in both profiles. In a cluster the pipeline's dbt worker
 * compiles for Spark, so a second worker compiles for DuckDB and ends.
 */
export async function compileLiveModels(
  { lake, server, s3, cluster }: OpenLake,
  project: string,
  worker: DbtWorker,
  signal: AbortSignal,
): Promise<LiveModels> {
  if (cluster === null) return prepareModels(worker, project, lake.dbt_folder);
  const compiler = new DbtWorker({
    project,
    engine: embeddedEngine({ server, s3 }),
    folder: join(lake.dbt_folder, "live"),
  });
  const stopListening = onAbort(signal, () => compiler.finish());
  try {
    return await prepareModels(compiler, project, lake.dbt_folder, { with_seeds: false });
  } finally {
    stopListening();
    await compiler.close();
  }
}
