import { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import { OperatingError } from "../../base/errors.ts";
import { DEFAULT_DATA_FOLDER, findLake } from "../../lake/lake.ts";
import { claimLake } from "../../lake/ownership.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import type { RepairItem } from "../../repair/item.ts";
import { DbtModels } from "../../repair/models.ts";
import { repair } from "../../repair/repair.ts";
import { openOutput, styleResult, type Output, withLakeOptions } from "../output.ts";
import { pipelineOf, type CommonOptions } from "../context.ts";
import { backupPlace, stepFromEnvironment, tableStorage } from "../backup-place.ts";

interface RepairCommandOptions extends CommonOptions {
  table?: string;
  apply?: boolean;
  from?: string;
  acceptLoss?: boolean;
}

export function repairCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("repair"))
    .description("repair damaged tables, catalog and log (default: dry run)")
    .option("--table <layer.table>", "rebuild one table; for bronze, read every row")
    .option("--apply", "repair (default: only print the plan)")
    .option("--from <dir>", "backup that supplies lost files and records")
    .option("--accept-loss", "drop unrecoverable data and record what was lost")
    .addHelpText(
      "after",
      `
Examples:
  npm run -s coinlake -- repair
  npm run -s coinlake -- repair --apply
  npm run -s coinlake -- repair --table gold.fact_crypto_ticks --apply

Stop the pipeline first. Exits 0 when nothing is damaged or all is repaired, 1 when damage remains.`,
    )
    .action(async (options: RepairCommandOptions) => {
      const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
      const lake = findLake(data_folder, options.lake ?? null);
      const output = openOutput(options.json ?? false);
      if (lake.profile === "cluster") throw notEmbedded(lake.name);
      const pipeline = pipelineOf(lake, pipelines);
      const claim = claimLake(lake, "repair");
      const parts = tableStorage(lake.warehouse, data_folder);
      const models = new DbtModels({ lake, pipeline, s3: parts.s3, say: output.say });
      try {
        const items = await repair({
          lake,
          pipeline,
          ...parts,
          clock: systemClock,
          step: stepFromEnvironment(),
          table: options.table ?? null,
          backup: options.from === undefined ? null : backupPlace(options.from, data_folder),
          is_loss_accepted: options.acceptLoss === true,
          is_automatic: false,
          is_applied: options.apply === true,
          say: output.say,
          modelsFrom: (table) => models.from(table),
          rebuild: (open, tables) => models.rebuild(open, tables),
        });
        report(items, options.apply === true, output);
      } finally {
        await models.close();
        claim.release();
      }
    });
}

function report(items: readonly RepairItem[], is_applied: boolean, output: Output): void {
  if (output.is_json) output.result(JSON.stringify({ is_applied, items }, null, 2));
  else output.result(formatItems(items));
  const left = items.filter(({ outcome }) => outcome !== "repaired");
  if (left.length > 0) process.exitCode = 1;
  if (left.some(({ outcome }) => outcome === "planned"))
    output.say("Dry run: nothing was changed. Add --apply to repair.");
  else if (items.length > 0 && left.length === 0) output.say("Repaired. Next: npm run -s coinlake -- verify");
}

const MARKS: Record<RepairItem["outcome"], string> = {
  planned: styleResult("yellow", "would"),
  repaired: styleResult("green", "done"),
  impossible: styleResult("red", "cannot"),
};

export function formatItems(items: readonly RepairItem[]): string {
  if (items.length === 0) return "Nothing to repair.";
  return items
    .map(
      ({ problem, action, outcome }) =>
        `${styleResult("red", "✗")} ${problem}\n    ${MARKS[outcome]}: ${withLakeOptions(action)}`,
    )
    .join("\n");
}

function notEmbedded(lake: string): OperatingError {
  return new OperatingError(
    "REPAIR_NEEDS_EMBEDDED",
    `Cannot repair the lake "${lake}": in the cluster profile, servers hold its catalog and log`,
    {
      next_step: "Restore the servers' own backups, then run `maintain check` to compare bronze with the log.",
    },
  );
}
