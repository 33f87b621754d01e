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
    .description("move a lake to another data folder, or accept where it was moved")
    .argument(
      "[new-data]",
      "the new data folder; without it, lakes that were moved by hand are accepted where they are",
    )
    .option("--copy", "accept a copy whose original stays in use; it gets a new id")
    .addHelpText(
      "after",
      "\nExamples:\n  npm run -s coinlake -- move /mnt/disk/coinlake\n  npm run -s coinlake -- move --data /mnt/disk/coinlake",
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
              `Moved the lake ${basename(to)} from ${from} to ${to}: ${tables} tables lead to the new place.`,
            );
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
        throw new OperatingError("MOVE_STOPPED", "The move was stopped; the lake is where it was", {
          next_step: "Run it again.",
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
  // `mv` was there first.
  if (existsSync(join(new_data, "lake.json")))
    return adoptIn(dirname(resolve(new_data)), { ...options, lake: basename(resolve(new_data)) }, request);
  const is_moved_already = listLakes(data_folder).length === 0 && listLakes(new_data).length > 0;
  if (is_moved_already || resolve(new_data) === resolve(data_folder)) return adoptIn(new_data, options, request);
  const lake = findLake(data_folder, options.lake ?? null, { is_moved_ok: true });
  refuseCluster(lake);
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

/** The lake named, or all of the folder that belong elsewhere. */
async function adoptIn(
  data_folder: string,
  { lake: name, copy }: MoveOptions,
  request: (folder: string) => MoveRequest,
): Promise<MoveReport[]> {
  if (name !== undefined) {
    const lake = findLake(data_folder, name, { is_moved_ok: true });
    refuseCluster(lake);
    return [await adopt(request(lake.folder), { is_copy: copy === true })];
  }
  const moved = listLakes(data_folder).filter((each) => isElsewhere(data_folder, each));
  // Throws what is wrong with the folder, or says that nothing is.
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

function refuseCluster({ name, profile }: Lake): void {
  if (profile === "embedded") return;
  throw new OperatingError(
    "MOVE_NEEDS_EMBEDDED",
    `The lake "${name}" lies in a cluster, and nothing in its folder leads elsewhere`,
    {
      next_step: "Move the folder by hand: nothing has to be rewritten.",
    },
  );
}
