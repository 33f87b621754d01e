import type { StepListener } from "../base/failpoints.ts";
import { sweepSpill } from "../duckdb/spill.ts";
import { rememberAsCurrent, type Lake } from "../lake/lake.ts";
import type { OpenLake } from "../lake/open.ts";
import { claimLake, claimSource } from "../lake/ownership.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { checkPort, Server, type ServerOptions } from "../serve/server.ts";
import { assignSources } from "./assign-sources.ts";
import { stepFromEnvironment } from "./backup-place.ts";
import { chooseSource, type ChosenSource, type SourceRequest } from "./choose-source.ts";
import { openLakeFromEnvironment } from "./context.ts";
import { lakeOfSource, type Claim, type LakeOfSource } from "./new-lake.ts";
import { outputNamed, type Output } from "./output.ts";
import { recoverLake } from "./recover.ts";
import { runPipelines, type RunSettings, type StartedPipeline } from "./run-pipelines.ts";

/** Where the dashboard and its API are served. */
export type ServerRequest = Omit<ServerOptions, "pipelines">;

export interface StartRequest extends Omit<SourceRequest, "pipeline" | "source">, RunSettings {
  /** At least one; the first is the default of other commands and of the server. */
  pipelines: readonly Pipeline[];
  /** The typed sources, each `name` or `name:argument`; empty for the default of each pipeline. */
  sources: readonly string[];
  /** Null for a run without a server. */
  server: ServerRequest | null;
  catalog_port: number;
  /** False where `produce` fills the log in another process. */
  is_producing: boolean;
}

/** A pipeline with its source, before its lake is touched. */
interface Chosen extends ChosenSource {
  pipeline: Pipeline;
  output: Output;
}

/** A pipeline whose lake this start has created or found, and claimed. */
interface Claimed extends Chosen {
  place: LakeOfSource;
  claims: Claim[];
}

/** Runs pipelines until they are drained or Ctrl-C stops them. Throws the error that ended one of them otherwise. */
export async function start(request: StartRequest): Promise<void> {
  const { server: served, pipelines } = request;
  // Checked before anything is created or fetched.
  const server = served === null ? null : new Server({ ...served, pipelines });
  const chosen = await chooseAll(request);
  const claimed: Claimed[] = [];
  const open: OpenLake[] = [];
  let are_open = false;
  const step = stepFromEnvironment();
  try {
    for (const one of chosen) await named(one.output, async () => claimOne(one, request, claimed));
    // The server itself starts only once dbt has compiled.
    if (served !== null) await checkPort(served);
    sweepSpill();
    const started: StartedPipeline[] = [];
    for (const one of claimed) {
      const lake = await named(one.output, () => openOne(one, request, step, open[0]));
      open.push(lake);
      started.push({ ...one, open: lake });
    }
    are_open = true;
    const [first] = open;
    if (first !== undefined) makeDefault(first.lake, request);
    await runPipelines(started, { ...request, server, step });
  } finally {
    await server?.close();
    // The first lake's catalog server is closed first: it ends the requests for all lakes.
    for (const lake of open) await lake.close();
    // The first lake may have created the data folder, which is removed last.
    for (const { place, claims } of claimed.toReversed()) {
      if (!are_open) place.discard(claims, request.is_transforming && claims.length > 0);
      for (const claim of claims) claim.release();
    }
  }
}

async function chooseAll(request: StartRequest): Promise<Chosen[]> {
  const { pipelines } = request;
  const sources = assignSources(pipelines, request.sources);
  const width = Math.max(...pipelines.map(({ name }) => name.length));
  const chosen: Chosen[] = [];
  for (const [index, pipeline] of pipelines.entries()) {
    const output = pipelines.length === 1 ? request.output : outputNamed(request.output, pipeline.name, width);
    const source = sources[index] ?? null;
    const found = await named(output, () => chooseSource({ ...request, pipeline, output, source }));
    chosen.push({ ...found, producers: request.is_producing ? found.producers : [], pipeline, output });
  }
  return chosen;
}

/** Creates or finds the pipeline's lake and claims it. `claimed` gets the lake even if the claim fails. */
function claimOne(one: Chosen, request: StartRequest, claimed: Claimed[]): void {
  const place = lakeOfSource({ ...request, pipeline: one.pipeline }, one);
  const claims: Claim[] = [];
  claimed.push({ ...one, place, claims });
  // The process that transforms is the only writer of the tables.
  if (request.is_transforming) claims.push(claimLake(place.lake, "start"));
  if (place.lake.profile === "cluster" && request.is_producing) claims.push(claimSource(place.lake, "start"));
}

/** The lake that was started last is the default of other commands. */
function makeDefault(lake: Lake, { data_folder, output }: StartRequest): void {
  const before = rememberAsCurrent(data_folder, lake);
  if (before === null) return;
  output.say(`Commands without --lake now use the lake "${lake.name}"; for the one before, add --lake ${before}`);
}

/** Repairs the lake after a power cut, and opens it. */
async function openOne(
  { pipeline, output, place: { lake, is_new } }: Claimed,
  request: StartRequest,
  step: StepListener,
  first: OpenLake | undefined,
): Promise<OpenLake> {
  if (!is_new && request.is_transforming) await recoverLake(lake, pipeline, output);
  return openLakeFromEnvironment(lake, {
    catalog_port: request.catalog_port,
    is_catalog_shared: request.pipelines.length > 1,
    catalog_server: first?.server ?? null,
    step,
    warn: output.warn,
  });
}

/** Says which of several pipelines keeps all from starting; the command line prints the error. */
async function named<T>(output: Output, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (output.name !== null) output.warn("this pipeline cannot start, so none is started");
    throw error;
  }
}
