import { Command } from "commander";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isoFromMicros, systemClock } from "../../base/clock.ts";
import type { OpenLake } from "../../lake/open.ts";
import { DEFAULT_DATA_FOLDER } from "../../lake/lake.ts";
import { claimSource } from "../../lake/ownership.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { produce } from "../../runtime/produce.ts";
import type { Producer } from "../../producer/producer.ts";
import { chooseSource, type SourceRequest } from "../choose-source.ts";
import { openLakeFromEnvironment, type CommonOptions } from "../context.ts";
import { lakeOfSource, type Claim } from "../new-lake.ts";
import { openOutput, type Output } from "../output.ts";
import { Status } from "../status.ts";
import { stopOnSignals } from "../stopping.ts";
import { describeDefault, describeSources, parseSpeed, pipelineNamed, pipelineOption } from "./source-options.ts";

/** Interval between updates of the file that shows monitoring tools that records still arrive. */
const NOTE_INTERVAL_US = 5_000_000;

interface ProduceOptions extends CommonOptions {
  pipeline: string;
  source?: string;
  speed?: number | "max";
}

export function produceCommand(pipelines: readonly Pipeline[], withoutLake: (command: Command) => Command): Command {
  return withoutLake(new Command("produce"))
    .description("run only the source, writing to the cluster's log")
    .addOption(pipelineOption(pipelines))
    .option("--source <source>", describeDefault(pipelines))
    .option("--speed <n|max>", "replay speed: n times real time, or max (default: 1)", parseSpeed)
    .addHelpText(
      "after",
      `
${describeSources(pipelines)}

Example:
  npm run -s coinlake -- produce --source live

\`start --profile cluster --no-produce\`, in another process, runs the rest of the pipeline.`,
    )
    .action(async (options: ProduceOptions) => run(pipelineNamed(pipelines, options.pipeline), options));
}

async function run(pipeline: Pipeline, options: ProduceOptions): Promise<void> {
  const output = openOutput(options.json ?? false);
  const request: SourceRequest = {
    pipeline,
    data_folder: options.data ?? DEFAULT_DATA_FOLDER,
    profile: "cluster",
    warehouse: null,
    source: options.source ?? null,
    speed: options.speed ?? null,
    is_until_drained: false,
    output,
  };
  const chosen = await chooseSource(request);
  const { lake, discard } = lakeOfSource(request, chosen);
  const claims: Claim[] = [];
  const stopping = stopOnSignals(output);
  let is_open = false;
  try {
    claims.push(claimSource(lake, "produce"));
    const open = await openLakeFromEnvironment(lake, { warn: output.warn });
    is_open = true;
    try {
      const records = await fill(open, pipeline, chosen.producers, output, stopping.signal);
      if (output.is_json)
        output.result(JSON.stringify({ lake: lake.name, topic: pipeline.topic.name, records }, null, 2));
    } finally {
      await open.close();
    }
  } finally {
    stopping.dispose();
    if (!is_open) discard(claims, false);
    for (const claim of claims) claim.release();
  }
}

async function fill(
  open: OpenLake,
  pipeline: Pipeline,
  producers: readonly Producer[],
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const { name: topic, partitions } = pipeline.topic;
  const { reported, stalled } = new Status(output, producers);
  let records = 0;
  let noted_us = -Infinity;
  const appended = (count: number): void => {
    records += count;
    const now_us = systemClock.now_us();
    if (now_us - noted_us < NOTE_INTERVAL_US) return;
    noted_us = now_us;
    writeFileSync(join(open.lake.folder, "source", "appended"), `${isoFromMicros(now_us)}\n`);
  };
  await open.log.createTopic(topic, partitions);
  output.say(`Writing records to ${topic} for the lake ${open.lake.name}   (Ctrl-C stops)`);
  await produce(
    {
      producers,
      log: open.log,
      topic,
      lake_folder: open.lake.folder,
      clock: systemClock,
      events: { reported, appended, stalled },
    },
    signal,
  );
  output.say(`${records.toLocaleString("en")} records received. The next run continues from here.`);
  return records;
}
