import { Command, InvalidArgumentError } from "commander";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { restore, type RestoreReport } from "../../backup/restore.ts";
import { OperatingError } from "../../base/errors.ts";
import { checkLakeName, DEFAULT_DATA_FOLDER, findLake, rememberAsCurrent } from "../../lake/lake.ts";
import { objectOfLocation } from "../../storage/s3/location.ts";
import { BACKUP_ENGINE, backupPlace, stepFromEnvironment, tableStorage } from "../backup-place.ts";
import type { CommonOptions } from "../context.ts";
import { openOutput, progressBar } from "../output.ts";
import { stopOnSignals } from "../stopping.ts";

interface RestoreOptions extends CommonOptions {
  warehouse?: string;
  backup?: number;
}

export function restoreCommand(withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("restore"))
    .description("create a lake from a backup")
    .argument("<backup-folder>", "folder or s3:// location of the backup")
    .option("--warehouse <location>", "s3:// location for the tables (default: the lake's folder)", parseWarehouse)
    .option("--backup <number>", "number of the backup (default: newest)", parseNumber)
    .addHelpText(
      "after",
      `
Example:
  npm run -s coinlake -- restore /mnt/backup/coinlake --data restored

--lake names the new lake (default: its name in the backup).`,
    )
    .action(async (source: string, options: RestoreOptions) => {
      const output = openOutput(options.json ?? false);
      const report = await run(source, options);
      const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
      const name = basename(report.folder);
      if (!existsSync(join(data_folder, "current"))) rememberAsCurrent(data_folder, findLake(data_folder, name));
      if (output.is_json) output.result(JSON.stringify({ lake: name, ...report }, null, 2));
      else {
        output.result(
          `Restored backup ${report.number} of ${report.created_at} to ${report.folder}: ` +
            `${report.tables} tables, ${report.files.toLocaleString("en")} files`,
        );
        output.say(`Next: npm run -s coinlake -- verify --deep --data ${JSON.stringify(data_folder)} --lake ${name}`);
      }
    });
}

async function run(typed: string, options: RestoreOptions): Promise<RestoreReport> {
  const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
  const stopping = stopOnSignals(openOutput(false));
  const bar = progressBar("restoring");
  const { storage, s3 } = tableStorage(options.warehouse ?? null, data_folder);
  try {
    return await restore({
      source: backupPlace(typed, data_folder),
      number: options.backup ?? null,
      folderOf: (name) => join(data_folder, checkLakeName(options.lake ?? name)),
      warehouse: options.warehouse ?? null,
      storage,
      engine: { ...BACKUP_ENGINE, s3 },
      step: stepFromEnvironment(),
      signal: stopping.signal,
      progress: bar.update,
    });
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    throw new OperatingError("RESTORE_STOPPED", "Restore interrupted; no lake was created yet", {
      next_step: "Run the same command again: it reuses the files already copied.",
    });
  } finally {
    bar.end();
    stopping.dispose();
  }
}

function parseWarehouse(text: string): string {
  try {
    objectOfLocation(text);
  } catch {
    throw new InvalidArgumentError("Use an S3 location, such as s3://bucket/folder.");
  }
  return text.replace(/\/+$/, "");
}

function parseNumber(text: string): number {
  if (/^[1-9]\d{0,7}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Use the number of a backup, 1 or more.");
}
