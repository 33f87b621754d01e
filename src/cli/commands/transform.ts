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

const POLL_INTERVAL_MS = 500;

export function transformCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("transform"))
    .description("build silver and gold from all rows now in bronze")
    .addOption(new Option("--layer <layer>", "build one layer (default: both)").choices(BUILT_LAYERS))
    .addHelpText(
      "after",
      `
Example:
  npm run -s coinlake -- transform

If a running pipeline builds the lake, the command waits until it has built these rows.`,
    )
    .action(async (options: TransformOptions) => {
      const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
      const pipeline = pipelineOf(lake, pipelines);
      const output = openOutput(options.json ?? false);
      const stopping = stopOnSignals(output);
      const open = await openLakeFromEnvironment(lake, { warn: output.warn });
      try {
        const built = await catchUp(open, pipeline, options.layer ?? null, output, stopping.signal);
        const layers = options.layer ?? "silver and gold";
        if (output.is_json)
          output.result(JSON.stringify({ lake: lake.name, layer: options.layer ?? null, ...built }, null, 2));
        else if (built.by === "nobody") output.say(`Nothing to do: ${layers} already up to date`);
        else
          output.say(
            `Built ${layers} ` +
              `${built.by === "this" ? `in ${(built.dbt_seconds ?? 0).toFixed(1)} s` : "(by the running pipeline)"}`,
          );
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
        output.say("Stopped after complete batches; the next run continues from there");
        process.exitCode = INTERRUPTED;
      } finally {
        await open.close();
        stopping.dispose();
      }
    });
}

interface BuildResult {
  /** The process that built the layers; `nobody` if they were up to date. */
  by: "nobody" | "this" | "another";
  dbt_seconds: number | null;
}

/**
 * Builds the layers up to bronze's current offsets; gold alone, up to silver's. The process that owns the lake builds
 * them; without one, this process does.
 */
async function catchUp(
  open: OpenLake,
  pipeline: Pipeline,
  layer: BuiltLayer | null,
  output: Output,
  signal: AbortSignal,
): Promise<BuildResult> {
  const target =
    layer === "gold"
      ? await layerOffsets(open.catalog, "silver")
      : await logOffsets(open.catalog, pipeline.bronze.table);
  // Bronze's metadata may lack rows that Spark's stream has just committed; dbt reads the table itself.
  const is_target_exact = open.cluster === null || layer === "gold";
  const layers = layer === null ? BUILT_LAYERS : [layer];
  for (let by: BuildResult["by"] = "nobody"; ; by = "another") {
    const is_reached = (await Promise.all(layers.map((name) => hasLayerConsumed(open.catalog, name, target)))).every(
      Boolean,
    );
    if (is_reached && is_target_exact) return { by, dbt_seconds: null };
    const claim = claimFolder(open.lake.folder, "transform");
    if (claim !== null) {
      try {
        return { by: "this", dbt_seconds: await build(open, pipeline, layer, output, signal) };
      } finally {
        claim.release();
      }
    }
    // The owner of the lake records bronze's offsets.
    if (is_reached) return { by, dbt_seconds: null };
    if (by === "nobody")
      output.say(`${ownerOf(open.lake.folder)} owns this lake; waiting for it to build ${layers.join(" and ")} ...`);
    await systemClock.wait(POLL_INTERVAL_MS, signal);
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
