import { Command, CommanderError } from "commander";
import { pipelines } from "../../pipelines/all.ts";
import { jobs } from "../../streaming/all.ts";
import { bronzeJob } from "../../streaming/bronze.ts";
import { explainSystemError } from "../base/system-error.ts";
import { DEFAULT_DATA_FOLDER } from "../lake/lake.ts";
import { checkPipeline } from "../pipeline/check.ts";
import { EXIT_CODES, exitCodeOf } from "./exit-code.ts";
import { explain, usageError } from "./output.ts";
import { VERSION } from "../lake/version.ts";

type Decorate = (command: Command) => Command;

const withData: Decorate = (command) =>
  command.option("--data <dir>", "folder that holds the lakes", DEFAULT_DATA_FOLDER);
const withLake: Decorate = (command) =>
  command.option("--lake <name>", "name of the lake in that folder (default: last started)");
const withJson: Decorate = (command) => command.option("--json", "print results as JSON");

/** Decorates commands that create their lake or need none. */
const withoutLake: Decorate = (command) => withJson(withData(command));
const withCommon: Decorate = (command) => withJson(withLake(withData(command)));
/** Decorates dbt, which chooses its own output format. */
const withoutJson: Decorate = (command) => withLake(withData(command));

/** Only the command that serves the dashboard loads the bundler. */
const dashboard = async () => (await import("../../dashboard/build.ts")).buildDashboard();

/** The command as the user types it: a checkout has no `coinlake` on the PATH. */
function pathOf(command: Command): string {
  return command.parent === null ? "npm run -s coinlake --" : `${pathOf(command.parent)} ${command.name()}`;
}

/** Reports usage errors in one format, for commands at any depth. */
function strict(command: Command): Command {
  command.exitOverride().configureOutput({ outputError: (text, write) => write(usageError(text, pathOf(command))) });
  command.hook("preSubcommand", rejectOptionsBefore);
  command.commands.forEach(strict);
  return command;
}

/** Rejects options typed before the subcommand: the parent would parse them, and they would have no effect. */
function rejectOptionsBefore(command: Command, subcommand: Command): void {
  const first = command.options.find((option) => command.getOptionValueSource(option.attributeName()) === "cli");
  if (first !== undefined) command.error(`error: write ${first.long ?? first.flags} after "${subcommand.name()}"`);
}

/** Each command loads its modules: all commands together have a thousand, which take half a second of CPU. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () =>
    (await import("./commands/start.ts")).startCommand({ pipelines, bronzeJob, assets: dashboard }, withoutLake),
  ask: async () => (await import("./commands/ask.ts")).askCommand(pipelines, withCommon),
  query: async () => (await import("./commands/query.ts")).queryCommand(pipelines, withCommon),
  rules: async () => (await import("./commands/rules.ts")).rulesCommand(pipelines, withCommon),
  alerts: async () => (await import("./commands/alerts.ts")).alertsCommand(pipelines, withCommon),
  verify: async () => (await import("./commands/verify.ts")).verifyCommand(pipelines, withCommon),
  repair: async () => (await import("./commands/repair.ts")).repairCommand(pipelines, withCommon),
  quality: async () => (await import("./commands/quality.ts")).qualityCommand(pipelines, withCommon),
  dbt: async () => (await import("./commands/dbt.ts")).dbtCommand(pipelines, withoutJson),
  transform: async () => (await import("./commands/transform.ts")).transformCommand(pipelines, withCommon),
  maintain: async () => (await import("./commands/maintain.ts")).maintainCommand(pipelines, withCommon),
  backup: async () => (await import("./commands/backup.ts")).backupCommand(pipelines, withCommon),
  restore: async () => (await import("./commands/restore.ts")).restoreCommand(withCommon),
  move: async () => (await import("./commands/move.ts")).moveCommand(withCommon),
  cluster: async () => (await import("./commands/cluster.ts")).clusterCommand(pipelines, jobs(), withoutLake),
  produce: async () => (await import("./commands/produce.ts")).produceCommand(pipelines, withoutLake),
  new: async () => (await import("./commands/new.ts")).newCommand(pipelines),
  streams: async () => (await import("./commands/streams.ts")).streamsCommand(jobs(), withoutLake),
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand(pipelines, withoutLake),
  "sql-worker": async () => (await import("./commands/sql-worker.ts")).sqlWorkerCommand(pipelines, withoutJson),
};
const HIDDEN: ReadonlySet<string> = new Set(["sql-worker"]);

/** Builds the command line with these commands; the complete one unless given. */
export async function program(names: readonly string[] = Object.keys(COMMANDS)): Promise<Command> {
  const command = new Command("coinlake")
    .description("A real-time lakehouse with Iceberg tables and dbt models")
    .version(VERSION)
    .enablePositionalOptions()
    .addHelpText("after", `\nExample:\n  npm run -s coinlake -- ask --help\n${EXIT_CODES}`);
  for (const name of names) {
    const added = await COMMANDS[name]?.();
    if (added !== undefined) command.addCommand(added, { hidden: HIDDEN.has(name) });
  }
  return command;
}

/** Sets the process's exit code, one of EXIT_CODES. */
export async function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  try {
    const [name = ""] = args;
    pipelines.forEach(checkPipeline);
    const built = await program(Object.hasOwn(COMMANDS, name) ? [name] : undefined);
    await strict(built).parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else {
      const known = explainSystemError(error);
      process.stderr.write(`${explain(known)}\n`);
      process.exitCode = exitCodeOf(known);
    }
  }
}

// A reader may close the pipe early (`query … | head`): exit without an error message.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(1);
  });
}
if (import.meta.main) await main();
