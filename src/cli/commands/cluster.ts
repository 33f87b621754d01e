import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { join, resolve } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { fetchServices, purge, startServices, stopServices } from "../../services/cluster.ts";
import { desiredStreams, forgetDesired, readDesired, writeDesired, type Desired } from "../../services/desired.ts";
import { cacheFolder, type Cache } from "../../services/fetch/cache.ts";
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
import { mainScript, projectFolder } from "../../lake/tools.ts";
import { BRONZE_CONSUMER, type Column, type Pipeline } from "../../pipeline/definition.ts";
import type { CommonOptions } from "../context.ts";
import { formatTable } from "../table.ts";
import { openOutput, progressBar, type Output } from "../output.ts";
import { pipelinesInUse } from "../pipelines-in-use.ts";
import { ensureStreams } from "./streams.ts";
import { sparkPython } from "../../transform/engine.ts";

type Decorate = (command: Command) => Command;

interface ClusterOptions extends CommonOptions {
  native?: boolean;
  only?: ServiceName[];
  purge?: boolean;
}

const ALL = SERVICES.map(({ name }) => name);
const NATIVE = ["--native", "run the servers without Docker (Linux only; default: Docker)"] as const;
const AS_STARTED = ["--native", "use the servers without Docker (default: as last started)"] as const;

const PORT_LINES = SERVICES.flatMap(({ title, ports }) =>
  ports.map(({ variable, default: port }) => `  ${variable.padEnd(32)}${String(port).padEnd(7)}${title}`),
);

const PORTS_HELP = `
Every server listens on 127.0.0.1 only. These variables change the ports:
${PORT_LINES.join("\n")}
COINLAKE_CACHE sets the folder for downloads; it is outside the checkout and may be deleted at any time.`;

export function clusterCommand(
  pipelines: readonly Pipeline[],
  jobs: readonly StreamJob[],
  withCommon: Decorate,
): Command {
  return new Command("cluster")
    .description(`manage the cluster's servers: ${SERVICES.map(({ title }) => title).join(", ")}`)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster status")
    .addCommand(upCommand(withCommon))
    .addCommand(fetchCommand(withCommon))
    .addCommand(downCommand(withCommon))
    .addCommand(statusCommand(pipelines, withCommon))
    .addCommand(superviseCommand(jobs, withCommon), { hidden: true });
}

function upCommand(withCommon: Decorate): Command {
  return withCommon(new Command("up"))
    .description("start the servers and wait until all are ready")
    .option(...NATIVE)
    .option(
      "--only <services>",
      `services to start, with their dependencies (default: ${ALL.join(",")})`,
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
      const cache = cacheWith(output);
      const cluster = await startServices(options.only ?? ALL, { folder, ports: process.env, cache, say: output.say });
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
        output.result(`\nConnection variables for clients, with credentials: ${environmentFile(folder)}`);
      }
    });
}

/** For machines that have no network later, and for runs that need the servers only at their end. */
function fetchCommand(withCommon: Decorate): Command {
  return withCommon(new Command("fetch"))
    .description("download the servers for `up --native`, and start nothing")
    .option(
      "--only <services>",
      `services to download, with their dependencies (default: ${ALL.join(",")})`,
      parseServices,
    )
    .addHelpText(
      "after",
      "\nCOINLAKE_CACHE sets the folder for downloads.\n\n" +
        "Example:\n  npm run -s coinlake -- cluster fetch --only kafka",
    )
    .action(async (options: ClusterOptions) => {
      const output = openOutput(options.json ?? false);
      const services = await fetchServices(options.only ?? ALL, cacheWith(output));
      if (services.has("spark")) await sparkPython({ clock: systemClock, say: output.say });
      if (output.is_json) output.result(JSON.stringify({ services: Object.fromEntries(services) }, null, 2));
      else output.say(`The servers' files are in ${cacheFolder()}`);
    });
}

function cacheWith({ say }: Output): Cache {
  return { folder: cacheFolder(), say, progress: progressBar };
}

function downCommand(withCommon: Decorate): Command {
  return withCommon(new Command("down"))
    .description("stop the servers; keep their data unless --purge is given")
    .option(...AS_STARTED)
    .option("--purge", "also delete all data: topics, tables and metastore")
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
      const stopped = options.purge ? await purge(folder, output.say) : await stopServices(folder, ALL, output.say);
      if (output.is_json)
        output.result(JSON.stringify({ folder, stopped, is_purged: options.purge ?? false }, null, 2));
      else if (options.purge) output.say(`Deleted the data in ${folder}; downloads remain in ${cacheFolder()}`);
      else if (stopped.length === 0) output.say("No server is running");
    });
}

function statusCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("status"))
    .description("show the servers' versions, ports and memory, and bronze's lag")
    .option(...AS_STARTED)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster status --json")
    .action(async (options: ClusterOptions) => {
      const output = openOutput(options.json ?? false);
      const folder = clusterFolder(options.data ?? DEFAULT_DATA_FOLDER);
      if (modeOf(folder, options) === "docker") return await composeStatus(output);
      const status = await clusterStatus(folder);
      const supervisor = runningSupervisor(folder);
      // Printed before Kafka is asked, which may be slow or not answer.
      if (!output.is_json) output.result(`${formatStatus(status)}\n${describeSupervisor(folder, supervisor)}`);
      const used = pipelinesInUse(
        options.data ?? DEFAULT_DATA_FOLDER,
        pipelines.map(({ name }) => name),
      );
      const { lag, lag_error } = await lagOrError(
        status,
        pipelines
          .filter(({ name }) => used.includes(name))
          .map(({ topic }) => ({ topic: topic.name, consumer: BRONZE_CONSUMER })),
      );
      if (output.is_json)
        return output.result(
          JSON.stringify(
            { mode: "native", parts: status, supervisor, streams: desiredStreams(folder), lag, lag_error },
            null,
            2,
          ),
        );
      if (lag_error !== null) output.result(`Bronze's lag is unknown: ${lag_error}`);
      for (const reader of lag ?? []) output.result(`${reader.topic}: ${describeLag(reader)}`);
    });
}

/** The status is useful even when Kafka cannot report the consumers' lag. */
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
  if (records_behind !== null) return `bronze lags ${records_behind.toLocaleString("en")} records`;
  return unknown === "no topic" ? "topic not created yet" : "bronze has committed no offsets yet";
}

function parseServices(text: string): ServiceName[] {
  return text.split(",").map((name) => {
    const part = serviceNamed(name.trim());
    if (part) return part.name;
    throw new InvalidArgumentError(`Unknown service "${name}": use ${SERVICES.map(({ name }) => name).join(", ")}.`);
  });
}

const STATUS_COLUMNS: readonly Column[] = [
  { name: "service", header: "service", kind: "text" },
  { name: "version", header: "version", kind: "plain" },
  { name: "state", header: "state", kind: "text" },
  { name: "ports", header: "ports on 127.0.0.1", kind: "text" },
  { name: "process", header: "process", kind: "plain" },
  { name: "memory", header: "memory", kind: "text" },
  { name: "folder", header: "data and logs", kind: "text" },
];

function formatStatus(status: readonly ServiceStatus[]): string {
  const rows = status.map(({ title, version, state, ports, pid, memory_bytes, folder }) => {
    const addresses = Object.entries(ports).map(([name, number]) => `${number} (${name})`);
    const memory = memory_bytes === null ? null : `${Math.round(memory_bytes / 1024 ** 2)} MB`;
    return [title, version, state, addresses.join(", ") || null, pid === null ? null : String(pid), memory, folder];
  });
  return formatTable(STATUS_COLUMNS, rows);
}

/** The mode of the option; else that of the last start; else Docker if it is installed. */
function modeOf(folder: string, { native = false }: ClusterOptions): Desired["mode"] {
  if (native || isCluster(folder)) return readDesired(folder)?.mode === "docker" && !native ? "docker" : "native";
  if (readDesired(folder)?.mode === "docker") return "docker";
  return hasTool("docker") ? "docker" : "native";
}

function describeSupervisor(folder: string, supervisor: SupervisorStatus | null): string {
  if (supervisor === null)
    return readDesired(folder) === null
      ? ""
      : "No supervisor is running: failed services stay down until `cluster up`.";
  const restarts = supervisor.restarts === 0 ? "" : `, ${supervisor.restarts} restarts so far`;
  const error = supervisor.last_error === null ? "" : `; last failure: ${supervisor.last_error}`;
  return `The supervisor (process ${supervisor.pid}) restarts failed services${restarts}${error}`;
}

function supervisorCommand(data_folder: string): string[] {
  return [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    mainScript(),
    "cluster",
    "supervise",
    "--data",
    resolve(data_folder),
  ];
}

/** Internal: `cluster up` starts this process, which keeps the cluster's services running. */
function superviseCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return withCommon(new Command("supervise"))
    .description("restart failed services and streams until the cluster stops")
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

/** Runs Docker Compose. With --json its output goes to stderr, so that stdout carries results only. */
async function compose(args: readonly string[], output: Output): Promise<void> {
  await runCompose(args, output.is_json ? process.stderr : "inherit");
}

async function composeStatus(output: Output): Promise<void> {
  if (!output.is_json) return await compose(["ps", "--all"], output);
  const printed = await runCompose(["ps", "--all", "--format", "json"], "pipe");
  // One object per line; older versions print one array.
  const services = printed
    .split("\n")
    .filter(Boolean)
    .flatMap((line) => JSON.parse(line) as unknown);
  output.result(JSON.stringify({ mode: "docker", services }, null, 2));
}

async function runCompose(args: readonly string[], stdout: "inherit" | "pipe" | NodeJS.WriteStream): Promise<string> {
  const folder = projectFolder();
  if (!existsSync(join(folder, "docker-compose.yml")))
    throw new OperatingError("CHECKOUT_REQUIRED", "Docker builds the cluster's images from a checkout of Coinlake", {
      next_step: "Add --native to run the cluster without Docker, or run the command in a checkout.",
    });
  const docker = findTool({
    program: "docker",
    purpose: "runs the cluster's containers",
    remedy: "Install Docker with Compose, or add --native to run the cluster without Docker.",
  });
  const child = spawn(docker, ["compose", ...args], { cwd: folder, stdio: ["inherit", stdout, "inherit"] });
  let printed = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (printed += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code === 0) return printed;
  throw new OperatingError("COMPOSE_FAILED", `\`docker compose ${args.join(" ")}\` failed; its output is above`, {
    next_step: "Install or start Docker and its Compose plugin, or add --native to run the cluster without Docker.",
  });
}
