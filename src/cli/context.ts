import { InvalidArgumentError } from "commander";
import { dirname } from "node:path";
import { clusterFolder, readEnvironment } from "../services/state.ts";
import type { Environment } from "../lake/environment.ts";
import { openLake, type OpenLake, type OpenLakeOptions } from "../lake/open.ts";
import { QuerySession } from "../duckdb/session.ts";
import { OperatingError } from "../base/errors.ts";
import { INSTANT_FORM, microsFromWritten } from "../base/instant.ts";
import { DEFAULT_DATA_FOLDER, findLake, type Lake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { S3_VARIABLES } from "../storage/s3/settings.ts";
import { openOutput, type Output } from "./output.ts";

/** Options common to all commands. */
export interface CommonOptions {
  data?: string;
  lake?: string;
  json?: boolean;
}

export interface ReadingContext {
  open: OpenLake;
  session: QuerySession;
  pipeline: Pipeline;
  output: Output;
}

export function pipelineOf(lake: Lake, pipelines: readonly Pipeline[]): Pipeline {
  const found = pipelines.find(({ name }) => name === lake.pipeline);
  if (found) return found;
  throw new OperatingError(
    "PIPELINE_NOT_FOUND",
    `The lake "${lake.name}" belongs to the unknown pipeline "${lake.pipeline}"`,
    {
      next_step:
        "Restore its definition in pipelines/, which now defines: " +
        `${pipelines.map(({ name }) => name).join(", ")}.`,
    },
  );
}

/**
 * Opens a lake with the server addresses in the environment, else with those that the data folder's cluster recorded.
 */
export function openLakeFromEnvironment(lake: Lake, options: Omit<OpenLakeOptions, "env"> = {}): Promise<OpenLake> {
  return openLake(lake, { ...options, env: environmentIn(dirname(lake.folder)) });
}

/**
 * The environment takes precedence over the variables that the data folder's cluster recorded, one by one. S3 variables
 * come all from one of the two: if the cluster has S3 and the environment names no endpoint, the environment's keys
 * belong to another service.
 */
export function environmentIn(data_folder: string, env: Environment = process.env): Environment {
  const written: Environment = readEnvironment(clusterFolder(data_folder));
  const is_own = Boolean(written["AWS_ENDPOINT_URL_S3"]) && !env["AWS_ENDPOINT_URL_S3"] && !env["AWS_ENDPOINT_URL"];
  const s3 = is_own ? written : env;
  return { ...written, ...env, ...Object.fromEntries(S3_VARIABLES.map((name) => [name, s3[name]])) };
}

/** Opens the selected lake for reading, and always closes it. */
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
      return await work({ open, session, pipeline, output });
    } finally {
      session.close();
    }
  } finally {
    await open.close();
  }
}

/** Parses the time of an option to milliseconds UTC. */
export function parseTime(text: string): number {
  const at_us = microsFromWritten(text);
  if (at_us === null) throw new InvalidArgumentError(INSTANT_FORM);
  return Math.floor(at_us / 1000);
}
