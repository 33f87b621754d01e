import { Command } from "commander";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { backUp, checkTarget, type BackupReport } from "../../backup/backup.ts";
import { notWritable } from "../../backup/placing.ts";
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
import { makeFolder } from "../../base/folder.ts";

export function backupCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("backup"))
    .description("copy a running or stopped lake to a folder or S3")
    .argument("<backup-folder>", "folder or s3:// location; files of earlier backups are reused")
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

/** Gives a lake of an earlier version, which has no id yet, its id. */
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

/**
 * Lets one backup at a time write to the folder; this run takes over the leftovers of a killed one. Throws
 * BACKUP_RUNNING, FOLDER_NOT_WRITABLE.
 */
function claimTarget(folder: string): { release(): void } {
  let claim: { release(): void } | null;
  try {
    makeFolder(folder);
    claim = claimFolder(folder, "backup");
  } catch (error) {
    throw notWritable(folder, error);
  }
  if (claim === null) {
    throw new OperatingError("BACKUP_RUNNING", `Another backup is writing to ${folder}: ${ownerOf(folder)}`, {
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
  const again = attempts === 1 ? "" : ` The lake changed during the backup: ${attempts} attempts.`;
  const within = is_between_increments
    ? ""
    : " It was taken during an increment, which the first `start` of the restored lake completes.";
  const size = `${tables} tables, ${files.toLocaleString("en")} files, ${megabytes(size_bytes)}`;
  const copied = `${copied_files.toLocaleString("en")} files (${megabytes(copied_bytes)}) copied`;
  return `Backup ${number} in ${target}: ${size}; ${copied}.${again}${within}`;
}

function stopped(): OperatingError {
  return new OperatingError("BACKUP_STOPPED", "Backup interrupted; earlier backups are unchanged", {
    next_step: "Run the same command again: it reuses the files already copied.",
  });
}

function insideLake(folder: string, lake: Lake): OperatingError {
  return new OperatingError(
    "BACKUP_INSIDE_LAKE",
    `Invalid backup folder ${folder}: it is inside the lake's folder ${lake.folder}`,
    {
      next_step: "Choose a folder outside the lake, on another disk if possible.",
    },
  );
}

function needsEmbedded({ name }: Lake): OperatingError {
  return new OperatingError(
    "BACKUP_NEEDS_EMBEDDED",
    `Cannot back up the lake "${name}": in the cluster profile, Kafka, the metastore and S3 hold its data`,
    {
      next_step: "Use the servers' own tools: pg_dump for PostgreSQL, S3 replication, MirrorMaker for Kafka.",
    },
  );
}
