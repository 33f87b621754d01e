import { Command, CommanderError } from "commander";
import { pipelines } from "../../pipelines/all.ts";
import { jobs } from "../../streaming/all.ts";
import { bronzeJob } from "../../streaming/bronze.ts";
import { explainSystemError } from "../base/system-error.ts";
import { DEFAULT_DATA_FOLDER } from "../lake/lake.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { askCommand } from "./commands/ask.ts";
import { backupCommand } from "./commands/backup.ts";
import { clusterCommand } from "./commands/cluster.ts";
import { dbtCommand } from "./commands/dbt.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { maintainCommand } from "./commands/maintain.ts";
import { moveCommand } from "./commands/move.ts";
import { newCommand } from "./commands/new.ts";
import { produceCommand } from "./commands/produce.ts";
import { qualityCommand } from "./commands/quality.ts";
import { queryCommand } from "./commands/query.ts";
import { repairCommand } from "./commands/repair.ts";
import { restoreCommand } from "./commands/restore.ts";
import { rulesCommand } from "./commands/rules.ts";
import { sqlWorkerCommand } from "./commands/sql-worker.ts";
import { startCommand } from "./commands/start.ts";
import { streamsCommand } from "./commands/streams.ts";
import { transformCommand } from "./commands/transform.ts";
import { verifyCommand } from "./commands/verify.ts";
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

/** Builds the complete command line. */
export function program(): Command {
  return new Command("coinlake")
    .description("A real-time lakehouse with Iceberg tables and dbt models")
    .version(VERSION)
    .enablePositionalOptions()
    .addHelpText("after", `\nExample:\n  npm run -s coinlake -- ask --help\n${EXIT_CODES}`)
    .addCommand(startCommand({ pipelines, bronzeJob, assets: dashboard }, withoutLake))
    .addCommand(askCommand(pipelines, withCommon))
    .addCommand(queryCommand(pipelines, withCommon))
    .addCommand(rulesCommand(pipelines, withCommon))
    .addCommand(alertsCommand(pipelines, withCommon))
    .addCommand(verifyCommand(pipelines, withCommon))
    .addCommand(repairCommand(pipelines, withCommon))
    .addCommand(qualityCommand(pipelines, withCommon))
    .addCommand(dbtCommand(pipelines, withoutJson))
    .addCommand(transformCommand(pipelines, withCommon))
    .addCommand(maintainCommand(pipelines, withCommon))
    .addCommand(backupCommand(pipelines, withCommon))
    .addCommand(restoreCommand(withCommon))
    .addCommand(moveCommand(withCommon))
    .addCommand(clusterCommand(pipelines, jobs, withoutLake))
    .addCommand(produceCommand(pipelines, withoutLake))
    .addCommand(newCommand(pipelines))
    .addCommand(streamsCommand(jobs, withoutLake))
    .addCommand(doctorCommand(pipelines, withoutLake))
    .addCommand(sqlWorkerCommand(pipelines, withoutJson), { hidden: true });
}

/** Sets the process's exit code, one of EXIT_CODES. */
export async function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  try {
    await strict(program()).parseAsync(args, { from: "user" });
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
