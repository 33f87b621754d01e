import { spawn } from "node:child_process";
import { Command, InvalidArgumentError } from "commander";
import { purge, startParts, stopParts } from "../../cluster/cluster.ts";
import { cacheFolder } from "../../cluster/fetch/cache.ts";
import { findTool } from "../../cluster/machine/tool.ts";
import type { PartName } from "../../cluster/part.ts";
import { PARTS, partNamed } from "../../cluster/parts.ts";
import { lagInKafka, type Lag, type Reader } from "../../cluster/lag.ts";
import { clusterStatus, type PartStatus } from "../../cluster/status.ts";
import { clusterFolder, environmentFile } from "../../cluster/state.ts";
import { OperatingError } from "../../errors.ts";
import { DEFAULT_DATA_FOLDER } from "../../lake/lake.ts";
import { projectFolder } from "../../lake/tools.ts";
import { BRONZE_CONSUMER, type Column, type Pipeline } from "../../pipeline/definition.ts";
import type { CommonOptions } from "../context.ts";
import { formatTable } from "../table.ts";
import { openOutput, progressBar } from "../output.ts";

type Decorate = (command: Command) => Command;

interface ClusterOptions extends CommonOptions {
  native?: boolean;
  only?: PartName[];
  purge?: boolean;
}

const NATIVE = ["--native", "without Docker, on Linux only: servers of this machine's own, from package registries"] as const;

const PORTS_HELP = `
Every server listens on 127.0.0.1 alone. To put one elsewhere, set its variable:
${PARTS.flatMap(({ title, ports }) => ports.map(({ variable, default: number }) => `  ${variable.padEnd(32)}${String(number).padEnd(7)}${title}`)).join("\n")}
COINLAKE_CACHE names the folder for what is fetched; it is kept outside the checkout and may be deleted at any time.`;

export function clusterCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return new Command("cluster")
    .description(`the servers of the cluster profile: ${PARTS.map(({ title }) => title).join(", ")}`)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster status --native")
    .addCommand(upCommand(withCommon))
    .addCommand(downCommand(withCommon))
    .addCommand(statusCommand(pipelines, withCommon));
}

function upCommand(withCommon: Decorate): Command {
  return withCommon(new Command("up"))
    .description("start what does not run yet, and wait until all of it answers")
    .option(...NATIVE)
    .option("--only <parts>", `some parts, by comma, and what they need: ${PARTS.map(({ name }) => name).join(",")}`, parseParts)
    .addHelpText("after", `${PORTS_HELP}\n\nExample:\n  npm run -s coinlake -- cluster up --native`)
    .action(async (options: ClusterOptions) => {
      if (!options.native) return await compose(["up", "--detach", "--wait", ...(options.only ?? [])]);
      const output = openOutput(options.json ?? false);
      const folder = clusterFolder(options.data ?? DEFAULT_DATA_FOLDER);
      const names = options.only ?? PARTS.map(({ name }) => name);
      const cache = { folder: cacheFolder(), say: output.say, progress: progressBar };
      const cluster = await startParts(names, { folder, ports: process.env, cache, say: output.say });
      if (output.is_json) output.result(JSON.stringify({ folder, ports: cluster.ports, parts: Object.fromEntries(cluster.parts), environment_file: environmentFile(folder) }, null, 2));
      else {
        output.result(formatStatus(await clusterStatus(folder)));
        output.result(`\nVariables by which clients find all this, credentials included: ${environmentFile(folder)}`);
      }
    });
}

function downCommand(withCommon: Decorate): Command {
  return withCommon(new Command("down"))
    .description("stop what runs; data stay unless they are purged")
    .option(...NATIVE)
    .option("--purge", "delete all data of the cluster too: topics, tables, metastore")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster down --native")
    .action(async (options: ClusterOptions) => {
      if (!options.native) return await compose(["down", ...(options.purge ? ["--volumes"] : [])]);
      const output = openOutput(options.json ?? false);
      const folder = clusterFolder(options.data ?? DEFAULT_DATA_FOLDER);
      const stopped = options.purge ? await purge(folder, output.say) : await stopParts(folder, PARTS.map(({ name }) => name), output.say);
      if (output.is_json) output.result(JSON.stringify({ folder, stopped, is_purged: options.purge ?? false }, null, 2));
      else if (options.purge) output.say(`The data in ${folder} are deleted; what was fetched stays in ${cacheFolder()}.`);
      else if (stopped.length === 0) output.say("Nothing runs.");
    });
}

function statusCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("status"))
    .description("what runs: versions, ports, memory, and how far bronze is behind the log")
    .option(...NATIVE)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- cluster status --native --json")
    .action(async (options: ClusterOptions) => {
      if (!options.native) return await compose(["ps", "--all", ...(options.json ? ["--format", "json"] : [])]);
      const output = openOutput(options.json ?? false);
      const status = await clusterStatus(clusterFolder(options.data ?? DEFAULT_DATA_FOLDER));
      // Kafka may take its time to answer, or not answer at all.
      if (!output.is_json) output.result(formatStatus(status));
      const { lag, lag_error } = await lagOrError(status, pipelines.map(({ topic }) => ({ topic: topic.name, consumer: BRONZE_CONSUMER })));
      if (output.is_json) return output.result(JSON.stringify({ parts: status, lag, lag_error }, null, 2));
      if (lag_error !== null) output.result(`How far bronze is behind the log cannot be told: ${lag_error}`);
      for (const reader of lag ?? []) output.result(`${reader.topic}: ${describeLag(reader)}`);
    });
}

/** What runs is worth telling even where Kafka does not say how far its readers are. */
async function lagOrError(status: readonly PartStatus[], readers: readonly Reader[]): Promise<{ lag: Lag[] | null; lag_error: string | null }> {
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

function parseParts(text: string): PartName[] {
  return text.split(",").map((name) => {
    const part = partNamed(name.trim());
    if (part) return part.name;
    throw new InvalidArgumentError(`"${name}" is none of: ${PARTS.map(({ name }) => name).join(", ")}.`);
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

function formatStatus(status: readonly PartStatus[]): string {
  const rows = status.map(({ title, version, state, ports, pid, memory_bytes, folder }) => {
    const places = Object.entries(ports).map(([name, number]) => `${number} (${name})`);
    const memory = memory_bytes === null ? null : `${Math.round(memory_bytes / 1024 ** 2)} MB`;
    return [title, version, state, places.join(", ") || null, pid === null ? null : String(pid), memory, folder];
  });
  return formatTable(STATUS_COLUMNS, rows);
}

/** Hands over to Docker, whose words then go to the terminal as they are. */
async function compose(args: readonly string[]): Promise<void> {
  const docker = findTool({ program: "docker", purpose: "runs the cluster's images", remedy: "Install Docker with Compose, or run the cluster without it: add --native." });
  const child = spawn(docker, ["compose", ...args], { cwd: projectFolder(), stdio: "inherit" });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code === 0) return;
  throw new OperatingError("COMPOSE_FAILED", `\`docker compose ${args.join(" ")}\` failed; what it said stands above.`, {
    next_step: "Where Docker's engine or its Compose plugin is missing, install or start it; or run the cluster without it: add --native.",
  });
}
