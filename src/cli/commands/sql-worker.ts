import { Command } from "commander";
import { findLake, DEFAULT_DATA_FOLDER } from "../../lake/lake.ts";
import { OperatingError } from "../../base/errors.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { openConsoleLake } from "../../serve/sql-console/lake-engine.ts";
import { serveConsole } from "../../serve/sql-console/worker.ts";
import { lastModels } from "../../transform/models.ts";
import { openLakeFromEnvironment, pipelineOf, type CommonOptions } from "../context.ts";

/** Internal: the server starts this process to run SQL that users type. */
export function sqlWorkerCommand(pipelines: readonly Pipeline[], withLake: (command: Command) => Command): Command {
  return withLake(new Command("sql-worker"))
    .description("run SQL for the server that started this process")
    .requiredOption("--exports <dir>", "folder for exported files")
    .action(async (options: CommonOptions & { exports: string }) => {
      if (process.send === undefined) {
        throw new OperatingError("NO_PARENT", "sql-worker is an internal command that only the server starts", {
          next_step: "Use `npm run -s coinlake -- query` for SQL.",
        });
      }
      const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
      const pipeline = pipelineOf(lake, pipelines);
      const open = await openLakeFromEnvironment(lake);
      const stopping = new AbortController();
      try {
        const models = lastModels(lake.dbt_folder);
        if (models === null) throw notCompiled();
        const opened = await openConsoleLake(open, pipeline, models, options.exports);
        const following = opened.run(stopping.signal);
        await Promise.race([serveConsole(opened.engine), following]);
        stopping.abort();
        await following;
        opened.close();
      } finally {
        stopping.abort();
        await open.close();
      }
    });
}

function notCompiled(): OperatingError {
  return new OperatingError("MODELS_NOT_COMPILED", "dbt has not compiled the live views yet", {
    next_step: "Wait until the pipeline has started.",
    is_retryable: true,
  });
}
