import { Command, InvalidArgumentError, Option } from "commander";
import type { Pipeline } from "../../pipeline/definition.ts";
import { readSetting } from "../../base/settings.ts";
import { CATALOG_TOKEN_VARIABLE } from "../../lake/catalog-token.ts";
import type { CommonOptions } from "../context.ts";
import type { Profile } from "../../lake/lake.ts";
import { DEFAULT_HOST, DEFAULT_PORT } from "../../serve/server.ts";
import type { ServerRequest } from "../../runtime/live-services.ts";
import { openOutput } from "../output.ts";
import { start, type StartRequest } from "../start.ts";
import { describeDefault, describeSources, parseSpeed } from "./source-options.ts";

export const DEFAULT_CATALOG_PORT = 8181;

interface StartOptions extends CommonOptions {
  source?: string;
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
  const [pipeline] = pipelines;
  if (!pipeline) throw new Error("pipelines/all.ts lists no pipeline");
  return withCommon(new Command("start"))
    .description(
      "run the pipeline and serve its page: source, log, bronze, silver, gold, answers, alerts; Ctrl-C stops it cleanly",
    )
    .option("--source <source>", describeDefault(pipeline))
    .addOption(
      new Option(
        "--profile <profile>",
        "embedded: all in this process; cluster: Kafka, Spark, Hive and S3, as `cluster up` starts them",
      )
        .choices(["embedded", "cluster"])
        .default("embedded"),
    )
    .option(
      "--warehouse <location>",
      "where a new lake's tables are to lie: s3://BUCKET/FOLDER, with credentials in AWS_… variables (default: the lake's own folder; in a cluster COINLAKE_WAREHOUSE)",
    )
    .option(
      "--port <port>",
      `port of the page and its API; 0 takes any free one (default: ${DEFAULT_PORT}; with --until-drained none is served unless you say one)`,
      parsePort,
    )
    .option("--host <address>", "address that they are served on; any but loopback needs a token", DEFAULT_HOST)
    .option(
      "--token <token>",
      "token that clients must send, 16 characters or more (default: COINLAKE_TOKEN, where set)",
    )
    .option(
      "--catalog-port <port>",
      "port of the Iceberg REST catalog on 127.0.0.1; 0 takes any free one",
      parsePort,
      DEFAULT_CATALOG_PORT,
    )
    .option(
      "--catalog-token <token>",
      `token that catalog clients must send; other users can see arguments, so prefer ${CATALOG_TOKEN_VARIABLE}`,
    )
    .option("--speed <n|max>", "n times recorded time, or as fast as it goes", parseSpeed)
    .option(
      "--no-produce",
      "leave the source to `produce`, which fills the cluster's log from elsewhere; say which one with --source all the same",
    )
    .option("--no-transform", "leave silver and gold to `transform`, as Airflow's DAG calls it; in a cluster alone")
    .option("--no-maintain", "leave compaction and expiry to `maintain`")
    .option("--until-drained", "end once the source has ended and gold holds and proves everything")
    .addHelpText(
      "after",
      `\nSources:\n${describeSources(pipeline)}\n\nExamples:\n  npm start\n  npm start -- --source simulated\n  npm start -- --source replay:candles.csv.gz --speed max --until-drained`,
    )
    .action(async (options: StartOptions, command: Command) => {
      if (options.profile !== "cluster" && !(options.produce && options.transform))
        command.error("error: --no-produce and --no-transform are for --profile cluster alone");
      if (options.untilDrained && !options.transform)
        command.error(
          "error: with --no-transform nothing is drained: leave out one of --until-drained and --no-transform",
        );
      // Processes that this one starts find it there too.
      if (options.catalogToken !== undefined) process.env[CATALOG_TOKEN_VARIABLE] = options.catalogToken;
      await start({
        pipeline,
        data_folder: options.data ?? "",
        profile: options.profile,
        warehouse: options.warehouse ?? null,
        bronzeJob,
        source: options.source ?? null,
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

function serverRequest({ port, host, token, untilDrained }: StartOptions): ServerRequest | null {
  if (port === undefined && untilDrained) return null;
  return { port: port ?? DEFAULT_PORT, host, token: token ?? readSetting("COINLAKE_TOKEN") };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
  return port;
}
