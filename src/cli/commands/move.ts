import { Command } from "commander";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { adopt, moveTo, type MoveReport, type MoveRequest } from "../../backup/move.ts";
import { OperatingError } from "../../base/errors.ts";
import { movedFrom } from "../../lake/identity.ts";
import {
  DEFAULT_DATA_FOLDER,
  descriptionOf,
  findLake,
  listLakes,
  rememberAsCurrent,
  type Lake,
} from "../../lake/lake.ts";
import { FileStorage } from "../../storage/file/storage.ts";
import { BACKUP_ENGINE, stepFromEnvironment } from "../backup-place.ts";
import type { CommonOptions } from "../context.ts";
import { openOutput, progressBar } from "../output.ts";
import { stopOnSignals } from "../stopping.ts";

interface MoveOptions extends CommonOptions {
  copy?: boolean;
}

export function moveCommand(withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("move"))
    .description("move a lake to another data folder")
    .argument("[new-data]", "new data folder (default: update lakes that were moved by hand)")
    .option("--copy", "treat the lake as a copy, with a new id")
    .addHelpText(
      "after",
      `
Examples:
  npm run -s coinlake -- move /mnt/disk/coinlake
  npm run -s coinlake -- move --data /mnt/disk/coinlake     (after the folder was moved by hand)`,
    )
    .action(async (new_data: string | undefined, options: MoveOptions) => {
      const output = openOutput(options.json ?? false);
      const stopping = stopOnSignals(output);
      const bar = progressBar("moving");
      const request = (folder: string): MoveRequest => ({
        folder,
        storage: new FileStorage(),
        engine: { ...BACKUP_ENGINE, s3: null },
        step: stepFromEnvironment(),
        signal: stopping.signal,
        progress: bar.update,
      });
      try {
        const reports = await run(new_data ?? null, options, request);
        bar.end();
        if (output.is_json) output.result(JSON.stringify(reports, null, 2));
        else
          for (const { from, to, tables } of reports)
            output.result(
              `${options.copy ? "Made a lake of the copy" : "Moved the lake"} ${basename(to)} from ${from} to ${to}; ` +
                `updated the locations of ${tables} tables`,
            );
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
        throw new OperatingError("MOVE_STOPPED", "Move interrupted; the lake is still in its old folder", {
          next_step: "Run the same command again.",
        });
      } finally {
        bar.end();
        stopping.dispose();
      }
    });
}

async function run(
  new_data: string | null,
  options: MoveOptions,
  request: (folder: string) => MoveRequest,
): Promise<MoveReport[]> {
  const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
  if (new_data === null) return adoptIn(data_folder, options, request);
  // The lake's folder was moved by hand.
  if (existsSync(join(new_data, "lake.json")))
    return adoptIn(dirname(resolve(new_data)), { ...options, lake: basename(resolve(new_data)) }, request);
  const is_moved_already = listLakes(data_folder).length === 0 && listLakes(new_data).length > 0;
  if (is_moved_already || resolve(new_data) === resolve(data_folder)) return adoptIn(new_data, options, request);
  const lake = findLake(data_folder, options.lake ?? null, { is_moved_ok: true });
  rejectCluster(lake);
  // An earlier run may have been killed after the lake had moved, before the old folder was deleted.
  if (movedFrom(lake.folder, descriptionOf(lake.folder)) === null) findLake(data_folder, lake.name);
  const report = await moveTo(request(lake.folder), join(resolve(new_data), lake.name));
  const current = join(data_folder, "current");
  const was_current = existsSync(current) && readFileSync(current, "utf8").trim() === lake.name;
  if (was_current) rmSync(current);
  const to = dirname(report.to);
  if (was_current || !existsSync(join(to, "current"))) rememberAsCurrent(to, findLake(to, basename(report.to)));
  return [report];
}

/** Updates the named lake, or every lake of the folder whose recorded location differs. */
async function adoptIn(
  data_folder: string,
  { lake: name, copy }: MoveOptions,
  request: (folder: string) => MoveRequest,
): Promise<MoveReport[]> {
  if (name !== undefined) {
    const lake = findLake(data_folder, name, { is_moved_ok: true });
    rejectCluster(lake);
    return [await adopt(request(lake.folder), { is_copy: copy === true })];
  }
  const moved = listLakes(data_folder).filter((each) => isElsewhere(data_folder, each));
  // Throws the folder's error, or reports that nothing has moved.
  if (moved.length === 0) return [await adopt(request(findLake(data_folder, null).folder), { is_copy: false })];
  const reports: MoveReport[] = [];
  for (const each of moved) reports.push(await adopt(request(join(data_folder, each)), { is_copy: copy === true }));
  return reports;
}

function isElsewhere(data_folder: string, name: string): boolean {
  try {
    findLake(data_folder, name);
    return false;
  } catch (error) {
    if (error instanceof OperatingError && error.code === "LAKE_MOVED") return true;
    throw error;
  }
}

function rejectCluster({ name, profile }: Lake): void {
  if (profile === "embedded") return;
  throw new OperatingError(
    "MOVE_NEEDS_EMBEDDED",
    `The lake "${name}" belongs to a cluster: its folder contains no absolute paths`,
    {
      next_step: "Move the folder by hand; no file needs rewriting.",
    },
  );
}
