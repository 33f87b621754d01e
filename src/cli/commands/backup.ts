import { Command } from "commander";
import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { backUp, checkTarget, type BackupReport } from "../../backup/backup.ts";
import { systemClock } from "../../base/clock.ts";
import { spillFolder } from "../../duckdb/spill.ts";
import { OperatingError } from "../../base/errors.ts";
import { isInside } from "../../lake/identity.ts";
import { DEFAULT_DATA_FOLDER, descriptionOf, findLake, type Lake } from "../../lake/lake.ts";
import { claimFolder, claimLake, ownerOf } from "../../lake/ownership.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { backupPlace, isS3, stepFromEnvironment, tableStorage } from "../backup-place.ts";
import { pipelineOf, type CommonOptions } from "../context.ts";
import { openOutput, progressBar } from "../output.ts";
import { stopOnSignals } from "../stopping.ts";

export function backupCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("backup"))
    .description("copy a lake to a folder or S3, beside a running pipeline")
    .argument("<target>", "a folder, or a location in S3; what an earlier backup there has is not copied again")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- backup /mnt/backup/coinlake")
    .action(async (target: string, options: CommonOptions) => {
      const output = openOutput(options.json ?? false);
      const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
      const lake = withId(findLake(data_folder, options.lake ?? null), data_folder);
      const report = await backUpTo(target, lake, data_folder, pipelineOf(lake, pipelines));
      if (output.is_json) output.result(JSON.stringify({ lake: lake.name, target, ...report }, null, 2));
      else output.result(inWords(report, target));
    });
}

/** A lake of an earlier version that nobody has written since. */
function withId(lake: Lake, data_folder: string): Lake {
  if (lake.profile !== "embedded") throw needsEmbedded(lake);
  if (lake.id !== null) return lake;
  claimLake(lake, "backup").release();
  return findLake(data_folder, lake.name);
}

async function backUpTo(typed: string, lake: Lake, data_folder: string, pipeline: Pipeline): Promise<BackupReport> {
  const target = backupPlace(typed, data_folder);
  const local = isS3(typed) ? null : resolve(typed);
  if (local !== null && isInside(local, lake.folder)) throw insideLake(local, lake);
  await checkTarget(target, lake);
  const claim = local === null ? null : claimTarget(local);
  const stopping = stopOnSignals(openOutput(false));
  const bar = progressBar("backing up");
  const scratch = local === null ? spillFolder() : join(local, "coinlake-scratch");
  try {
    return await backUp({
      lake,
      description: descriptionOf(lake.folder),
      storage: tableStorage(lake.warehouse, data_folder).storage,
      target,
      scratch,
      pipeline,
      clock: systemClock,
      step: stepFromEnvironment(),
      signal: stopping.signal,
      progress: bar.update,
    });
  } catch (error) {
    if (stopping.signal.aborted) throw stopped();
    throw error;
  } finally {
    bar.end();
    stopping.dispose();
    rmSync(scratch, { recursive: true, force: true });
    claim?.release();
  }
}

/** One run at a time: the leftovers of a killed one are this one's. */
function claimTarget(folder: string): { release(): void } {
  mkdirSync(folder, { recursive: true });
  const claim = claimFolder(folder, "backup");
  if (claim === null) {
    throw new OperatingError("BACKUP_RUNNING", `${folder} is being written by ${ownerOf(folder)}`, {
      next_step: "Wait until that backup has ended.",
    });
  }
  return claim;
}

function inWords(
  { number, tables, files, size_bytes, copied_files, copied_bytes, attempts, is_between_increments }: BackupReport,
  target: string,
): string {
  const megabytes = (bytes: number): string =>
    `${(bytes / 1_000_000).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
  const again = attempts === 1 ? "" : ` The lake changed meanwhile: planned ${attempts} times.`;
  const within = is_between_increments
    ? ""
    : " It shows a moment within an increment, which the next `start` of the restored lake ends.";
  return `Backup ${number} in ${target}: ${tables} tables, ${files.toLocaleString("en")} files, ${megabytes(size_bytes)}; ${copied_files.toLocaleString("en")} files (${megabytes(copied_bytes)}) are new.${again}${within}`;
}

function stopped(): OperatingError {
  return new OperatingError("BACKUP_STOPPED", "The backup was stopped; earlier backups are as they were", {
    next_step: "Run it again: it goes on with what it has copied.",
  });
}

function insideLake(folder: string, lake: Lake): OperatingError {
  return new OperatingError("BACKUP_INSIDE_LAKE", `${folder} lies inside the lake's folder ${lake.folder}`, {
    next_step: "Name a folder outside of it, on another disk if there is one.",
  });
}

function needsEmbedded({ name }: Lake): OperatingError {
  return new OperatingError(
    "BACKUP_NEEDS_EMBEDDED",
    `The lake "${name}" lies in a cluster: its log in Kafka, its catalog in a metastore, its tables in S3`,
    {
      next_step: "Back these up with their own tools: PostgreSQL's pg_dump, S3 replication, Kafka's mirroring.",
    },
  );
}
