import { Command, CommanderError, Option } from "commander";
import { pipelines } from "../../pipelines/all.ts";
import { DEFAULT_DATA_FOLDER } from "../lake/lake.ts";
import { askCommand } from "./commands/ask.ts";
import { dbtCommand } from "./commands/dbt.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { queryCommand } from "./commands/query.ts";
import { startCommand } from "./commands/start.ts";
import { verifyCommand } from "./commands/verify.ts";
import { explain } from "./output.ts";

function withCommon(command: Command): Command {
  return withoutLake(command).option("--lake <name>", "which lake in that folder (default: the one started last)");
}

/** For commands that make their lake, or need none. */
function withoutLake(command: Command): Command {
  return command
    .option("--data <dir>", "folder of the lakes", DEFAULT_DATA_FOLDER)
    .addOption(new Option("--json", "results as JSON, for machines"))
    .showHelpAfterError("(add --help for usage and an example)")
    .exitOverride();
}

function program(): Command {
  return new Command("coinlake")
    .description("A real-time crypto lakehouse: live prices in, open Iceberg tables, dbt models and answers out.")
    .enablePositionalOptions()
    .showHelpAfterError("(add --help for usage)")
    .exitOverride()
    .addCommand(startCommand(pipelines, withoutLake))
    .addCommand(askCommand(pipelines, withCommon))
    .addCommand(queryCommand(pipelines, withCommon))
    .addCommand(verifyCommand(pipelines, withCommon))
    .addCommand(dbtCommand(pipelines, withCommon))
    .addCommand(doctorCommand(pipelines, withoutLake));
}

/** Exit code 0 only on success; 1 for what went wrong, 2 for what was typed wrong. */
async function main(): Promise<void> {
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else {
      process.stderr.write(`${explain(error)}\n`);
      process.exitCode = 1;
    }
  }
}

// Whoever reads may have had enough (`query … | head`): then there is nobody left to tell.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(1);
});
await main();
