import { Command, InvalidArgumentError, Option } from "commander";
import type { Pipeline } from "../../pipeline/definition.ts";
import { readSetting } from "../../base/settings.ts";
import { CATALOG_TOKEN_VARIABLE } from "../../lake/catalog-token.ts";
import type { CommonOptions } from "../context.ts";
import type { Profile } from "../../lake/lake.ts";
import { DEFAULT_HOST, DEFAULT_PORT } from "../../serve/server.ts";
import { openOutput } from "../output.ts";
import { start, type ServerRequest, type StartRequest } from "../start.ts";
import { describeDefault, describeSources, parseSpeed, pipelinesOption } from "./source-options.ts";

export const DEFAULT_CATALOG_PORT = 8181;

interface StartOptions extends CommonOptions {
  pipeline: readonly Pipeline[];
  source?: string[];
  profile: Profile;
  warehouse?: string;
  catalogPort: number;
  catalogToken?: string;
  speed?: number | "max";
  produce: boolean;
  transform: boolean;
  maintain: boolean;
  untilDrained?: boolean;
  port?: number;
  host: string;
  token?: string;
}

export interface StartParts {
  pipelines: readonly Pipeline[];
  bronzeJob: StartRequest["bronzeJob"];
  assets: StartRequest["assets"];
}

export function startCommand(
  { pipelines, bronzeJob, assets }: StartParts,
  withCommon: (command: Command) => Command,
): Command {
  return withCommon(new Command("start"))
    .description("run pipelines and serve the dashboard until Ctrl-C")
    .addOption(pipelinesOption(pipelines))
    .option("--source <source>", `${describeDefault(pipelines)}; may be repeated`, collect)
    .addOption(
      new Option("--profile <profile>", "embedded: one process; cluster: Kafka, Spark, Hive, S3")
        .choices(["embedded", "cluster"])
        .default("embedded"),
    )
    .option(
      "--warehouse <location>",
      "s3:// location of a new lake's tables (default: COINLAKE_WAREHOUSE in a cluster, else the lake's folder)",
    )
    .option(
      "--port <port>",
      `port of the dashboard; 0 picks a free one (default: ${DEFAULT_PORT}; with --until-drained none)`,
      parsePort,
    )
    .option("--host <address>", "address of the dashboard; any but loopback requires --token", DEFAULT_HOST)
    .option("--token <token>", "token clients must send, 16 characters or more (default: COINLAKE_TOKEN)")
    .option("--catalog-port <port>", "port of the REST catalog; 0 picks a free one", parsePort, DEFAULT_CATALOG_PORT)
    .option("--catalog-token <token>", `token of catalog clients; ${CATALOG_TOKEN_VARIABLE} hides it from other users`)
    .option("--speed <n|max>", "replay speed: n times real time, or max (default: 1)", parseSpeed)
    .option("--no-produce", "do not run the source; `produce` does (cluster profile only)")
    .option("--no-transform", "do not run dbt; orchestrator runs `transform` (cluster profile only)")
    .option("--no-maintain", "do not compact or expire; run `maintain` instead")
    .option("--until-drained", "exit once all records are in gold and verified")
    .addHelpText(
      "after",
      `
${describeSources(pipelines)}

Each pipeline uses the last --source that it has. With several pipelines the first
answers at the dashboard's address, the others below it, as /NAME.

Examples:
  npm start
  npm start -- --source simulated
  npm start -- --pipeline ecommerce
  npm start -- --pipeline crypto,ecommerce --source simulated
  npm start -- --source replay:candles.csv.gz --speed max --until-drained`,
    )
    .action(async (options: StartOptions, command: Command) => {
      if (options.profile !== "cluster" && !(options.produce && options.transform))
        command.error("error: --no-produce and --no-transform require --profile cluster");
      if (options.untilDrained && !options.transform)
        command.error("error: --until-drained cannot be used with --no-transform: this process does not build gold");
      if (options.pipeline.length > 1) rejectForSeveral(options, command);
      // Child processes read it from the environment too.
      if (options.catalogToken !== undefined) process.env[CATALOG_TOKEN_VARIABLE] = options.catalogToken;
      await start({
        pipelines: options.pipeline,
        data_folder: options.data ?? "",
        profile: options.profile,
        warehouse: options.warehouse ?? null,
        bronzeJob,
        sources: options.source ?? [],
        catalog_port: options.catalogPort,
        speed: options.speed ?? null,
        is_producing: options.produce,
        is_transforming: options.transform,
        is_maintaining: options.maintain,
        is_until_drained: options.untilDrained ?? false,
        server: serverRequest(options),
        assets,
        output: openOutput(options.json ?? false),
      });
    });
}

/** A cluster's lakes need a process each, and two lakes cannot share a location. */
function rejectForSeveral({ profile, warehouse }: StartOptions, command: Command): void {
  if (profile === "cluster")
    command.error("error: several pipelines cannot be used with --profile cluster: start one process each");
  if (warehouse !== undefined)
    command.error(
      "error: several pipelines cannot be used with --warehouse: create each lake alone, then start them together",
    );
}

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

function serverRequest({ port, host, token, untilDrained }: StartOptions): ServerRequest | null {
  if (port === undefined && untilDrained) return null;
  return { port: port ?? DEFAULT_PORT, host, token: token ?? readSetting("COINLAKE_TOKEN") };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("Use a port from 0 to 65535.");
  return port;
}
