import { spawn } from "node:child_process";
import { Command, InvalidArgumentError } from "commander";
import { join, resolve } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { purge, startServices, stopServices } from "../../services/cluster.ts";
import { desiredStreams, forgetDesired, readDesired, writeDesired, type Desired } from "../../services/desired.ts";
import { cacheFolder } from "../../services/fetch/cache.ts";
import { findTool, hasTool } from "../../services/machine/tool.ts";
import type { ServiceName } from "../../services/service.ts";
import { SERVICES, serviceNamed } from "../../services/registry.ts";
import { lagInKafka, type Lag, type Reader } from "../../services/lag.ts";
import { clusterStatus, type ServiceStatus } from "../../services/status.ts";
import { clusterFolder, environmentFile, isCluster } from "../../services/state.ts";
import {
  runningSupervisor,
  startSupervisor,
  stopSupervisor,
  supervise,
  type SupervisorStatus,
} from "../../services/supervisor.ts";
import type { StreamJob } from "../../spark/job.ts";
import { OperatingError } from "../../base/errors.ts";
import { DEFAULT_DATA_FOLDER } from "../../lake/lake.ts";
import { projectFolder } from "../../lake/tools.ts";
import { BRONZE_CONSUMER, type Column, type Pipeline } from "../../pipeline/definition.ts";
import type { CommonOptions } from "../context.ts";
import { formatTable } from "../table.ts";
import { openOutput, progressBar, type Output } from "../output.ts";
import { ensureStreams } from "./streams.ts";

type Decorate = (command: Command) => Command;

interface ClusterOptions extends CommonOptions {
  native?: boolean;
  only?: ServiceName[];
  purge?: boolean;
}

const NATIVE = [
  "--native",
  "without Docker, on Linux only: servers of this machine's own, from package registries",
] as const;
const AS_STARTED = [
  "--native",
  "the servers of this machine's own (default: however the cluster was started)",
] as const;

const PORTS_HELP = `
Every server listens on 127.0.0.1 alone. To put one elsewhere, set its variable:
${SERVICES.flatMap(({ title, ports }) => ports.map(({ variable, default: number }) => `  ${variable.padEnd(32)}${String(number).padEnd(7)}${title}`)).join("\n")}
COINLAKE_CACHE names the folder for what is fetched; it is kept outside the checkout and may be deleted at any time.`;

export function clusterCommand(
  pipelines: readonly Pipeline[],
  jobs: readonly StreamJob[],
  withCommon: Decorate,
): Command {
  return new Command("cluster")
    .description(`the servers of the cluster profile: ${SERVICES.map(({ title }) => title).join(", ")}`)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster status")
    .addCommand(upCommand(withCommon))
    .addCommand(downCommand(withCommon))
    .addCommand(statusCommand(pipelines, withCommon))
    .addCommand(superviseCommand(jobs, withCommon), { hidden: true });
}

function upCommand(withCommon: Decorate): Command {
  return withCommon(new Command("up"))
    .description("start what does not run yet, and wait until all of it answers")
    .option(...NATIVE)
    .option(
      "--only <parts>",
      `some parts, by comma, and what they need: ${SERVICES.map(({ name }) => name).join(",")}`,
      parseServices,
    )
    .addHelpText("after", `${PORTS_HELP}\n\nExample:\n  npm run -s coinlake -- cluster up --native`)
    .action(async (options: ClusterOptions) => {
      const output = openOutput(options.json ?? false);
      const folder = clusterFolder(options.data ?? DEFAULT_DATA_FOLDER);
      if (!options.native) {
        await compose(["up", "--detach", "--wait", ...(options.only ?? [])], output);
        writeDesired(folder, { mode: "docker", parts: {} });
        if (output.is_json) output.result(JSON.stringify({ mode: "docker" }, null, 2));
        return;
      }
      const names = options.only ?? SERVICES.map(({ name }) => name);
      const cache = { folder: cacheFolder(), say: output.say, progress: progressBar };
      const cluster = await startServices(names, { folder, ports: process.env, cache, say: output.say });
      const parts = {
        ...readDesired(folder)?.parts,
        ...Object.fromEntries(Array.from(cluster.services, ([name, { ports }]) => [name, ports])),
      };
      writeDesired(folder, { mode: "native", parts });
      startSupervisor(folder, supervisorCommand(options.data ?? DEFAULT_DATA_FOLDER));
      if (output.is_json)
        output.result(
          JSON.stringify(
            {
              folder,
              ports: cluster.ports,
              parts: Object.fromEntries(cluster.services),
              environment_file: environmentFile(folder),
            },
            null,
            2,
          ),
        );
      else {
        output.result(formatStatus(await clusterStatus(folder)));
        output.result(`\nVariables by which clients find all this, credentials included: ${environmentFile(folder)}`);
      }
    });
}

function downCommand(withCommon: Decorate): Command {
  return withCommon(new Command("down"))
    .description("stop what runs; data stay unless they are purged")
    .option(...AS_STARTED)
    .option("--purge", "delete all data of the cluster too: topics, tables, metastore")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster down")
    .action(async (options: ClusterOptions) => {
      const output = openOutput(options.json ?? false);
      const folder = clusterFolder(options.data ?? DEFAULT_DATA_FOLDER);
      if (modeOf(folder, options) === "docker") {
        await compose(["down", ...(options.purge ? ["--volumes"] : [])], output);
        forgetDesired(folder);
        if (output.is_json)
          output.result(JSON.stringify({ mode: "docker", is_purged: options.purge ?? false }, null, 2));
        return;
      }
      forgetDesired(folder);
      await stopSupervisor(folder, systemClock);
      const stopped = options.purge
        ? await purge(folder, output.say)
        : await stopServices(
            folder,
            SERVICES.map(({ name }) => name),
            output.say,
          );
      if (output.is_json)
        output.result(JSON.stringify({ folder, stopped, is_purged: options.purge ?? false }, null, 2));
      else if (options.purge)
        output.say(`The data in ${folder} are deleted; what was fetched stays in ${cacheFolder()}.`);
      else if (stopped.length === 0) output.say("Nothing runs.");
    });
}

function statusCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("status"))
    .description("what runs: versions, ports, memory, and how far bronze is behind the log")
    .option(...AS_STARTED)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster status --json")
    .action(async (options: ClusterOptions) => {
      const output = openOutput(options.json ?? false);
      const folder = clusterFolder(options.data ?? DEFAULT_DATA_FOLDER);
      if (modeOf(folder, options) === "docker") return await composeStatus(output);
      const status = await clusterStatus(folder);
      const supervisor = runningSupervisor(folder);
      // Kafka may take its time to answer, or not answer at all.
      if (!output.is_json) output.result(`${formatStatus(status)}\n${describeSupervisor(folder, supervisor)}`);
      const { lag, lag_error } = await lagOrError(
        status,
        pipelines.map(({ topic }) => ({ topic: topic.name, consumer: BRONZE_CONSUMER })),
      );
      if (output.is_json)
        return output.result(
          JSON.stringify(
            { mode: "native", parts: status, supervisor, streams: desiredStreams(folder), lag, lag_error },
            null,
            2,
          ),
        );
      if (lag_error !== null) output.result(`How far bronze is behind the log cannot be told: ${lag_error}`);
      for (const reader of lag ?? []) output.result(`${reader.topic}: ${describeLag(reader)}`);
    });
}

/** What runs is worth telling even where Kafka does not say how far its readers are. */
async function lagOrError(
  status: readonly ServiceStatus[],
  readers: readonly Reader[],
): Promise<{ lag: Lag[] | null; lag_error: string | null }> {
  try {
    return { lag: await lagInKafka(status, readers), lag_error: null };
  } catch (error) {
    if (error instanceof OperatingError) return { lag: null, lag_error: error.message };
    throw error;
  }
}

function describeLag({ records_behind, unknown }: Lag): string {
  if (records_behind !== null) return `bronze lacks ${records_behind.toLocaleString("en")} records`;
  return unknown === "no topic" ? "not made yet" : "nobody has told how far bronze has come";
}

function parseServices(text: string): ServiceName[] {
  return text.split(",").map((name) => {
    const part = serviceNamed(name.trim());
    if (part) return part.name;
    throw new InvalidArgumentError(`"${name}" is none of: ${SERVICES.map(({ name }) => name).join(", ")}.`);
  });
}

const STATUS_COLUMNS: readonly Column[] = [
  { name: "part", header: "part", kind: "text" },
  { name: "version", header: "version", kind: "plain" },
  { name: "state", header: "state", kind: "text" },
  { name: "ports", header: "ports on 127.0.0.1", kind: "text" },
  { name: "process", header: "process", kind: "plain" },
  { name: "memory", header: "memory", kind: "text" },
  { name: "folder", header: "data and logs", kind: "text" },
];

function formatStatus(status: readonly ServiceStatus[]): string {
  const rows = status.map(({ title, version, state, ports, pid, memory_bytes, folder }) => {
    const places = Object.entries(ports).map(([name, number]) => `${number} (${name})`);
    const memory = memory_bytes === null ? null : `${Math.round(memory_bytes / 1024 ** 2)} MB`;
    return [title, version, state, places.join(", ") || null, pid === null ? null : String(pid), memory, folder];
  });
  return formatTable(STATUS_COLUMNS, rows);
}

/** A person who says how is believed; else how it was started, else Docker where it is installed. */
function modeOf(folder: string, { native = false }: ClusterOptions): Desired["mode"] {
  if (native || isCluster(folder)) return readDesired(folder)?.mode === "docker" && !native ? "docker" : "native";
  if (readDesired(folder)?.mode === "docker") return "docker";
  return hasTool("docker") ? "docker" : "native";
}

function describeSupervisor(folder: string, supervisor: SupervisorStatus | null): string {
  if (supervisor === null)
    return readDesired(folder) === null ? "" : "No supervisor runs: parts that die stay dead until `cluster up`.";
  const restarts = supervisor.restarts === 0 ? "" : `, ${supervisor.restarts} parts started again`;
  const error = supervisor.last_error === null ? "" : `; last failure: ${supervisor.last_error}`;
  return `The supervisor (process ${supervisor.pid}) starts parts again that die${restarts}${error}`;
}

function supervisorCommand(data_folder: string): string[] {
  const main = join(projectFolder(), "src", "cli", "main.ts");
  return [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    main,
    "cluster",
    "supervise",
    "--data",
    resolve(data_folder),
  ];
}

/** Not for people: `cluster up` starts it, as the process that keeps the cluster's parts running. */
function superviseCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return withCommon(new Command("supervise"))
    .description("start parts and streams again that died, until the cluster is stopped")
    .action(async (options: ClusterOptions) => {
      const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
      const folder = clusterFolder(data_folder);
      const stopping = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
      const say = (text: string): void => void process.stdout.write(`${new Date().toISOString()} ${text}\n`);
      await supervise({
        folder,
        clock: systemClock,
        signal: stopping.signal,
        restart: async (names, ports) => void (await startServices(names, { folder, ports, say })),
        ensureStreams: () => ensureStreams(jobs, data_folder, say),
        say,
      });
    });
}

/** Runs Docker Compose; what it prints is for people, and goes where it does not mix with results. */
async function compose(args: readonly string[], output: Output): Promise<void> {
  await runCompose(args, output.is_json ? process.stderr : "inherit");
}

async function composeStatus(output: Output): Promise<void> {
  if (!output.is_json) return await compose(["ps", "--all"], output);
  const printed = await runCompose(["ps", "--all", "--format", "json"], "pipe");
  // One object a line; older versions print one array.
  const services = printed
    .split("\n")
    .filter(Boolean)
    .flatMap((line) => JSON.parse(line) as unknown);
  output.result(JSON.stringify({ mode: "docker", services }, null, 2));
}

async function runCompose(args: readonly string[], stdout: "inherit" | "pipe" | NodeJS.WriteStream): Promise<string> {
  const docker = findTool({
    program: "docker",
    purpose: "runs the cluster's images",
    remedy: "Install Docker with Compose, or run the cluster without it: add --native.",
  });
  const child = spawn(docker, ["compose", ...args], { cwd: projectFolder(), stdio: ["inherit", stdout, "inherit"] });
  let printed = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (printed += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code === 0) return printed;
  throw new OperatingError(
    "COMPOSE_FAILED",
    `\`docker compose ${args.join(" ")}\` failed; what it said stands above.`,
    {
      next_step:
        "Where Docker's engine or its Compose plugin is missing, install or start it; or run the cluster without it: add --native.",
    },
  );
}
