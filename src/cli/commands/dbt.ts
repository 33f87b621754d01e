import { spawn } from "node:child_process";
import { Command } from "commander";
import { dirname, join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { OperatingError } from "../../base/errors.ts";
import type { OpenLake } from "../../lake/open.ts";
import { claimLake } from "../../lake/ownership.ts";
import { DEFAULT_DATA_FOLDER, findLake } from "../../lake/lake.ts";
import { projectFolder } from "../../lake/tools.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { engineOf } from "../../transform/engine.ts";
import { logOffsets } from "../../transform/offsets.ts";
import { readRunResults, TestResults } from "../../transform/test-results.ts";
import { dbtEnvironment, dbtPython } from "../../transform/worker.ts";
import { openLakeFromEnvironment, pipelineOf, type CommonOptions } from "../context.ts";
import { INTERRUPTED } from "../stopping.ts";

/** dbt commands that write tables and so need exclusive ownership of the lake. */
const WRITING = new Set(["run", "build", "seed", "snapshot", "run-operation", "retry", "clone"]);

/** dbt's exit code for wrong arguments and for failures before it builds or tests anything. */
const DBT_USAGE = 2;

export function dbtCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("dbt"))
    .description("run dbt on the lake with the given arguments")
    .argument("<arguments...>", "dbt command and options, such as test or run")
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption("-h, --help", "display help for this command (dbt's own: `dbt -- --help`)")
    .addHelpText(
      "after",
      `
Examples:
  npm run -s coinlake -- dbt test
  npm run -s coinlake -- dbt run --full-refresh
  npm run -s coinlake -- dbt docs generate --static     (writes target/static_index.html in the lake's dbt folder)
  npm run -s coinlake -- dbt source freshness

Coinlake's options (--data, --lake) precede dbt's: coinlake dbt --data DIR test`,
    )
    .action(async (args: string[], options: CommonOptions, command: Command) => {
      const own = args.find((word) => /^--(?:data|lake)(?:=|$)/.test(word));
      if (own !== undefined)
        command.error(`error: write ${own.split("=")[0]} before dbt's arguments: dbt ${reordered(args).join(" ")}`);
      const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
      const pipeline = pipelineOf(lake, pipelines);
      // Global options of dbt may precede its command.
      const writing = args.find((word) => WRITING.has(word));
      const claim = writing === undefined ? null : claimLake(lake, `dbt ${writing}`);
      const open = await openLakeFromEnvironment(lake);
      try {
        const started_at_ms = Date.now();
        process.exitCode = await runDbt(["--no-send-anonymous-usage-stats", ...args], pipeline, open);
        await keepTestResults(open, pipeline, started_at_ms);
        if (process.exitCode === DBT_USAGE) throw rejected();
      } finally {
        await open.close();
        claim?.release();
      }
    });
}

/** Coinlake's options with their values first, then dbt's arguments. */
function reordered(args: readonly string[]): string[] {
  const is_own = args.map(
    (word, index) => /^--(?:data|lake)(?:=|$)/.test(word) || ["--data", "--lake"].includes(args[index - 1] ?? ""),
  );
  return [...args.filter((_, index) => is_own[index]), ...args.filter((_, index) => !is_own[index])];
}

function rejected(): OperatingError {
  return new OperatingError(
    "DBT_REJECTED",
    "dbt did not run: it rejects its arguments, or failed as the lines above say",
    {
      next_step:
        "`npm run -s coinlake -- dbt --help` shows examples, " +
        "and `npm run -s coinlake -- dbt -- --help` dbt's own options.",
    },
  );
}

/** Records test results for the dashboard, except for an empty lake: its tests fail because the tables do not exist. */
async function keepTestResults({ lake, catalog }: OpenLake, pipeline: Pipeline, started_at_ms: number): Promise<void> {
  const ran = readRunResults(lake.dbt_folder, started_at_ms);
  if (ran === null || Object.keys(await logOffsets(catalog, pipeline.reconciliation.accepted)).length === 0) return;
  new TestResults(lake.dbt_folder).record(ran.result, systemClock.now_us(), { is_whole: ran.is_whole });
}

/** Runs dbt with this terminal's input and output; resolves to its exit code. */
async function runDbt(args: readonly string[], { transform }: Pipeline, open: OpenLake): Promise<number> {
  const { lake } = open;
  const project = join(projectFolder(), transform.project);
  const engine = await engineOf(open, { clock: systemClock, say: (text) => process.stderr.write(`${text}\n`) });
  const executable = join(dirname(dbtPython(engine)), process.platform === "win32" ? "dbt.exe" : "dbt");
  const child = spawn(executable, args, {
    cwd: project,
    stdio: "inherit",
    env: {
      ...dbtEnvironment({ engine, folder: lake.dbt_folder, project: transform.project }),
      DBT_PROJECT_DIR: project,
    },
  });
  let is_interrupted = false;
  const interrupt = () => (is_interrupted = true);
  // The terminal sends Ctrl-C to dbt too; this process waits for dbt, then closes the catalog.
  process.on("SIGINT", interrupt);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    // dbt exits with 2 after Ctrl-C, which would mean wrong use.
    return is_interrupted ? INTERRUPTED : (code ?? 1);
  } finally {
    process.off("SIGINT", interrupt);
  }
}
