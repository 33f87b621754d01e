import { InvalidArgumentError } from "commander";
import { dirname } from "node:path";
import { clusterFolder, readEnvironment } from "../services/state.ts";
import type { Environment } from "../lake/environment.ts";
import { openLake, type OpenLake, type OpenLakeOptions } from "../lake/open.ts";
import { QuerySession } from "../duckdb/session.ts";
import { OperatingError } from "../base/errors.ts";
import { DEFAULT_DATA_FOLDER, findLake, type Lake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { S3_VARIABLES } from "../storage/s3/settings.ts";
import { openOutput, type Output } from "./output.ts";

/** Options that every command has. */
export interface CommonOptions {
  data?: string;
  lake?: string;
  json?: boolean;
}

export interface ReadingContext {
  lake: OpenLake;
  session: QuerySession;
  pipeline: Pipeline;
  output: Output;
}

export function pipelineOf(lake: Lake, pipelines: readonly Pipeline[]): Pipeline {
  const found = pipelines.find(({ name }) => name === lake.pipeline);
  if (found) return found;
  throw new OperatingError(
    "PIPELINE_NOT_FOUND",
    `The lake "${lake.name}" belongs to the pipeline "${lake.pipeline}", which is not here`,
    {
      next_step: `Bring its definition back into pipelines/; there are: ${pipelines.map(({ name }) => name).join(", ")}.`,
    },
  );
}

/** Opens a lake with what the environment says of its servers, else with what the cluster of its data folder wrote down. */
export function openLakeFromEnvironment(lake: Lake, options: Omit<OpenLakeOptions, "env"> = {}): Promise<OpenLake> {
  return openLake(lake, { ...options, env: environmentIn(dirname(lake.folder)) });
}

/**
 * What the environment says comes before what the cluster of the data folder wrote down, variable by variable; but S3 is taken
 * whole from the one or the other. Where the cluster has one and the environment names no endpoint, its keys are for elsewhere.
 */
export function environmentIn(data_folder: string, env: Environment = process.env): Environment {
  const written: Environment = readEnvironment(clusterFolder(data_folder));
  const is_own = Boolean(written["AWS_ENDPOINT_URL_S3"]) && !env["AWS_ENDPOINT_URL_S3"] && !env["AWS_ENDPOINT_URL"];
  const s3 = is_own ? written : env;
  return { ...written, ...env, ...Object.fromEntries(S3_VARIABLES.map((name) => [name, s3[name]])) };
}

/** Opens the lake that the options mean, for reading, and closes it whatever happens. */
export async function withLake<T>(
  options: CommonOptions,
  pipelines: readonly Pipeline[],
  work: (context: ReadingContext) => Promise<T>,
): Promise<T> {
  const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
  const pipeline = pipelineOf(lake, pipelines);
  const output = openOutput(options.json ?? false);
  const open = await openLakeFromEnvironment(lake, { warn: output.warn });
  try {
    const session = await QuerySession.open(open);
    try {
      return await work({ lake: open, session, pipeline, output });
    } finally {
      session.close();
    }
  } finally {
    await open.close();
  }
}

/** Milliseconds UTC from what a person typed; a time without a zone is UTC. A parser of options. */
export function parseTime(text: string): number {
  const has_zone = /(Z|[+-]\d{2}:?\d{2})$/i.test(text.trim());
  const is_form = /^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i.test(text.trim());
  const iso = text.trim().replace(" ", "T");
  const at_ms = is_form ? Date.parse(has_zone ? iso : iso.includes("T") ? `${iso}Z` : `${iso}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(at_ms) || !isDay(iso.slice(0, 10))) {
    throw new InvalidArgumentError("Write a time as 2023-03-14T02:10:00Z; without a zone it is taken as UTC.");
  }
  return at_ms;
}

/** Date.parse carries 31 February over into March. */
function isDay(date: string): boolean {
  const at_ms = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(at_ms) && new Date(at_ms).toISOString().startsWith(date);
}
