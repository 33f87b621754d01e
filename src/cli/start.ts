import { setFlagsFromString } from "node:v8";
import type { StepListener } from "../base/failpoints.ts";
import { sweepSpill } from "../duckdb/spill.ts";
import { rememberAsCurrent } from "../lake/lake.ts";
import type { OpenLake } from "../lake/open.ts";
import { claimLake, claimSource } from "../lake/ownership.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { checkPort, Server, type ServerOptions } from "../serve/server.ts";
import { assignSources } from "./assign-sources.ts";
import { stepFromEnvironment } from "./backup-place.ts";
import { chooseSource, type ChosenSource, type SourceRequest } from "./choose-source.ts";
import { openLakeFromEnvironment } from "./context.ts";
import { lakeOfSource, type Claim, type LakeOfSource } from "./new-lake.ts";
import { outputOf, type Output } from "./output.ts";
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

/** A pipeline of this start, on its way to an open lake. */
interface Prepared extends ChosenSource {
  pipeline: Pipeline;
  output: Output;
}

/** A lake that this start has created or found. */
interface Placed {
  claims: Claim[];
  is_claimed: boolean;
  discard: LakeOfSource["discard"];
}

/**
 * Heap growth in percent before a collection. Messages outlive the young generation, and by default V8 lets the
 * surviving heap double first. At 1,000 records a second, resident memory then varies between 380 and 510 MB; with this
 * setting it stays at 430 MB.
 */
const HEAP_GROWING_PERCENT = 30;

/** Runs pipelines until they are drained or Ctrl-C stops them. Throws the error that ended one of them otherwise. */
export async function start(request: StartRequest): Promise<void> {
  const { server: served, pipelines } = request;
  // Checked before anything is created or fetched.
  const server = served === null ? null : new Server({ ...served, pipelines });
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const prepared: Prepared[] = [];
  const sources = assignSources(pipelines, request.sources);
  for (const [index, pipeline] of pipelines.entries()) {
    const output = outputOf(request.output, pipelines.length === 1 ? null : pipeline.name);
    const chosen = await chooseSource({ ...request, pipeline, output, source: sources[index] ?? null });
    prepared.push({ ...chosen, pipeline, output });
  }
  const placed: Placed[] = [];
  const open: OpenLake[] = [];
  let are_open = false;
  const step = stepFromEnvironment();
  try {
    // The server itself starts only once dbt has compiled.
    if (served !== null) await checkPort(served);
    sweepSpill();
    const started: StartedPipeline[] = [];
    for (const one of prepared) {
      const lake = await openOne(one, request, step, placed, open[0]);
      open.push(lake);
      const { pipeline, output, producers } = one;
      started.push({ lake, pipeline, output, producers: request.is_producing ? producers : [] });
    }
    are_open = true;
    const [first] = open;
    if (first !== undefined) rememberAsCurrent(request.data_folder, first.lake);
    await runPipelines(started, { ...request, server, step });
  } finally {
    // The first lake's catalog server is closed first: it ends the requests for all lakes.
    for (const lake of open) await lake.close();
    for (const { claims, is_claimed, discard } of placed.toReversed()) {
      if (!are_open) discard(claims, is_claimed);
      for (const claim of claims) claim.release();
    }
  }
}

/** Creates or finds a lake, claims it, repairs it after a power cut, and opens it. `placed` gets it before any failure. */
async function openOne(
  { pipeline, output, kind, lake_name }: Prepared,
  request: StartRequest,
  step: StepListener,
  placed: Placed[],
  first: OpenLake | undefined,
): Promise<OpenLake> {
  const { lake, is_new, discard } = lakeOfSource({ ...request, pipeline }, { kind, lake_name });
  const place: Placed = { claims: [], is_claimed: false, discard };
  placed.push(place);
  // The process that transforms is the only writer of the tables.
  if (request.is_transforming) place.claims.push(claimLake(lake, "start"));
  place.is_claimed = place.claims.length > 0;
  if (lake.profile === "cluster" && request.is_producing) place.claims.push(claimSource(lake, "start"));
  if (!is_new && request.is_transforming) await recoverLake(lake, pipeline, output);
  return openLakeFromEnvironment(lake, {
    catalog_port: request.catalog_port,
    is_catalog_shared: request.pipelines.length > 1,
    catalog_server: first?.server ?? null,
    step,
    warn: output.warn,
  });
}
