import { onAbort } from "../../base/abortable.ts";
import { Command, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import type { OpenLake } from "../../lake/open.ts";
import { DEFAULT_DATA_FOLDER, findLake } from "../../lake/lake.ts";
import { BUILT_LAYERS, type BuiltLayer } from "../../lake/layers.ts";
import { claimFolder, ownerOf } from "../../lake/ownership.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { hasLayerConsumed, layerOffsets } from "../../transform/layer-offsets.ts";
import { engineOf } from "../../transform/engine.ts";
import { logOffsets } from "../../transform/offsets.ts";
import { Transform } from "../../transform/transform.ts";
import { DbtWorker } from "../../transform/worker.ts";
import { openLakeFromEnvironment, pipelineOf, type CommonOptions } from "../context.ts";
import { openOutput, type Output } from "../output.ts";
import { INTERRUPTED, stopOnSignals } from "../stopping.ts";

type TransformOptions = CommonOptions & { layer?: BuiltLayer };

const LOOK_MS = 500;

export function transformCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("transform"))
    .description("carry on to silver and gold what bronze has now")
    .addOption(new Option("--layer <layer>", "one layer only").choices(BUILT_LAYERS))
    .addHelpText(
      "after",
      "\nExample:\n  npm run -s coinlake -- transform\n\nWhere a running pipeline does so already, it waits until that has come to the same place.",
    )
    .action(async (options: TransformOptions) => {
      const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
      const pipeline = pipelineOf(lake, pipelines);
      const output = openOutput(options.json ?? false);
      const stopping = stopOnSignals(output);
      const open = await openLakeFromEnvironment(lake, { warn: output.warn });
      try {
        const carried = await carry(open, pipeline, options.layer ?? null, output, stopping.signal);
        const layers = options.layer ?? "silver and gold";
        if (output.is_json)
          output.result(JSON.stringify({ lake: lake.name, layer: options.layer ?? null, ...carried }, null, 2));
        else if (carried.by === "nobody") output.say(`Nothing to do: ${layers} had all there is.`);
        else
          output.say(
            `${layers}: all there was${carried.by === "this" ? ` (dbt took ${(carried.dbt_seconds ?? 0).toFixed(1)} s)` : ", carried by the running pipeline"}.`,
          );
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
        output.say("Stopped: each table has whole batches, and the next run goes on from there.");
        process.exitCode = INTERRUPTED;
      } finally {
        await open.close();
        stopping.dispose();
      }
    });
}

interface Carried {
  /** Who brought it there; nobody where it was there. */
  by: "nobody" | "this" | "another";
  dbt_seconds: number | null;
}

/**
 * Until a layer has what the one before it has when this begins, gold what silver has where it is asked for alone: by the process that
 * writes the lake, else by this one.
 */
async function carry(
  open: OpenLake,
  pipeline: Pipeline,
  layer: BuiltLayer | null,
  output: Output,
  signal: AbortSignal,
): Promise<Carried> {
  const target =
    layer === "gold"
      ? await layerOffsets(open.catalog, "silver")
      : await logOffsets(open.catalog, pipeline.bronze.table);
  // Of what Spark's stream has brought to bronze the table may know nothing yet; dbt looks.
  const is_place_sure = open.cluster === null || layer === "gold";
  const layers = layer === null ? BUILT_LAYERS : [layer];
  for (let by: Carried["by"] = "nobody"; ; by = "another") {
    const is_there = (await Promise.all(layers.map((name) => hasLayerConsumed(open.catalog, name, target)))).every(
      Boolean,
    );
    if (is_there && is_place_sure) return { by, dbt_seconds: null };
    const claim = claimFolder(open.lake.folder, "transform");
    if (claim !== null) {
      try {
        return { by: "this", dbt_seconds: await build(open, pipeline, layer, output, signal) };
      } finally {
        claim.release();
      }
    }
    // Whoever writes the lake notes what bronze has.
    if (is_there) return { by, dbt_seconds: null };
    if (by === "nobody")
      output.say(
        `${ownerOf(open.lake.folder)} writes this lake: waiting for it to carry on ${layers.join(" and ")} ...`,
      );
    await systemClock.wait(LOOK_MS, signal);
  }
}

async function build(
  open: OpenLake,
  pipeline: Pipeline,
  layer: BuiltLayer | null,
  { say }: Output,
  signal: AbortSignal,
): Promise<number> {
  const engine = await engineOf(open, { clock: systemClock, say });
  const worker = new DbtWorker({ project: pipeline.transform.project, engine, folder: open.lake.dbt_folder });
  const stopListening = onAbort(signal, () => void worker.close());
  try {
    return (await new Transform({ pipeline, catalog: open.catalog, worker, engine: engine.kind }).catchUp({ layer }))
      .seconds;
  } finally {
    stopListening();
    await worker.close();
  }
}
