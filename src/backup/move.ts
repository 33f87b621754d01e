import { randomUUID } from "node:crypto";
import { copyFileSync, existsSync, linkSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { syncFile, syncFolder, syncFoldersTo } from "../base/durable-file.ts";
import type { RewriterOptions } from "../duckdb/rewriter.ts";
import { OperatingError } from "../base/errors.ts";
import { idAt, isInside, isSameFolder, locationOf, movedFrom } from "../lake/identity.ts";
import { describedAt, descriptionOf, writeDescription, type LakeDescription } from "../lake/lake.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import type { StepListener } from "../base/failpoints.ts";
import { locationOfPath } from "../storage/file/location.ts";
import { RelocatedStorage } from "../storage/relocated.ts";
import type { Storage } from "../storage/storage.ts";
import { MARKER, openStaging } from "./placing.ts";
import { relocateTables, type Superseded } from "./relocate.ts";
import { forgetPending, removeSuperseded } from "./restore.ts";
import { locatorOf } from "./roots.ts";
import { copyDatabase, filesAt, filesOfLake } from "./stores.ts";
import { makeFolder } from "../base/folder.ts";

export interface MoveRequest {
  /** The present folder of the lake. */
  folder: string;
  /** Storage of this disk. */
  storage: Storage;
  engine: RewriterOptions;
  step: StepListener;
  signal: AbortSignal;
  progress?(done: number, total: number): void;
}

export interface MoveReport {
  from: string;
  to: string;
  /** Tables whose metadata was rewritten. */
  tables: number;
}

/**
 * Updates a lake's recorded location after its folder was moved by hand. Writes new metadata beside the old, then
 * changes all pointers in one transaction, then lake.json; a later run resumes a killed one. `is_copy` assigns a new
 * id, for a copy whose original stays in use. Throws LAKE_IN_USE, LAKE_IS_A_COPY, NOTHING_TO_MOVE.
 */
export async function adopt(request: MoveRequest, { is_copy }: { is_copy: boolean }): Promise<MoveReport> {
  const { folder } = request;
  const description = descriptionOf(folder);
  const claim = claimWhole(folder);
  try {
    const from = recordedLocation(folder, description);
    if (isSameFolder(from, folder)) throw nothingToMove(folder);
    rejectCopy(folder, from, description, is_copy);
    const to = realpathSync(folder);
    const superseded = await relocateIn(request, { description, from, to, present: to });
    writeDescription(
      folder,
      describedAt(description, { id: is_copy ? randomUUID() : (description.id ?? randomUUID()), location: to }),
    );
    syncFile(join(folder, "lake.json"));
    syncFolder(folder);
    await removeSuperseded(request.storage, superseded, warehouseIn(to));
    return { from, to, tables: superseded.length };
  } finally {
    claim.release();
  }
}

/**
 * Moves a lake to another folder: copies it beside the target (table files as hard links on the same disk), renames the
 * copy to the target, which commits the move, and deletes the old folder. Throws LAKE_IN_USE, TARGET_NOT_EMPTY,
 * TARGET_INSIDE, NOT_COPYABLE.
 */
export async function moveTo(request: MoveRequest, target: string): Promise<MoveReport> {
  const { step } = request;
  // Resolves links: otherwise only the link would be deleted.
  const folder = realpathSync(request.folder);
  const claim = claimWhole(folder);
  try {
    const description = identified(folder);
    const from = recordedLocation(folder, description);
    const moved_to = movedFrom(folder, description);
    if (moved_to !== null) {
      // A run that was killed after the commit left the old folder.
      claim.release();
      rmSync(folder, { recursive: true, force: true });
      return { from, to: moved_to, tables: 0 };
    }
    if (isInside(target, folder)) throw targetInside(target, folder);
    const staging = openStaging({
      folder: target,
      source: `move ${description.id ?? ""} from ${from}`,
      activity: "move",
    });
    try {
      staging.begin();
      if (staging.is_resumed) emptyStaging(staging.folder);
      await copyInto(request, staging.folder, description);
      const superseded = await relocateIn(
        { ...request, folder: staging.folder },
        { description, from, to: staging.place, present: staging.folder },
      );
      await removeSuperseded(
        storageIn(request.storage, staging.place, staging.folder),
        superseded,
        warehouseIn(staging.place),
      );
      writeDescription(
        staging.folder,
        describedAt(description, { id: description.id ?? randomUUID(), location: staging.place }),
      );
      syncFile(join(staging.folder, "lake.json"));
      // After the rename, this mark locks all processes out of the old folder; before it, the mark has no effect.
      writeDescription(folder, { ...description, moving_to: staging.place });
      syncFile(join(folder, "lake.json"));
      syncFolder(folder);
      step("before placing");
      staging.put();
      step("after placing");
      claim.release();
      rmSync(folder, { recursive: true, force: true });
      return { from, to: staging.place, tables: superseded.length };
    } finally {
      staging.release();
    }
  } finally {
    claim.release();
  }
}

/** Gives a lake of an earlier version its id, which the mark of a finished move compares. */
function identified(folder: string): LakeDescription {
  const description = descriptionOf(folder);
  if (description.id !== undefined) return description;
  const named = { ...description, id: randomUUID(), location: recordedLocation(folder, description) };
  writeDescription(folder, named);
  return named;
}

function recordedLocation(folder: string, { id, location, warehouse }: LakeDescription): string {
  if (location !== undefined) return location;
  return locationOf({
    name: basename(folder),
    folder,
    identity: id === undefined ? null : { id, location: folder },
    warehouse: warehouse ?? null,
  });
}

function warehouseIn(folder: string): string {
  return locationOfPath(join(folder, "warehouse"));
}

function storageIn(storage: Storage, future: string, present: string): RelocatedStorage {
  return new RelocatedStorage(storage, { future: warehouseIn(future), present: warehouseIn(present) });
}

/** Rewrites the tables' metadata; tables in S3 do not move. */
async function relocateIn(
  request: MoveRequest,
  { description, from, to, present }: { description: LakeDescription; from: string; to: string; present: string },
): Promise<Superseded[]> {
  const catalog_file = join(request.folder, "catalog.db");
  if (description.warehouse !== undefined || !existsSync(catalog_file)) return [];
  const storage = storageIn(request.storage, to, present);
  const superseded = await relocateTables({
    ...request,
    catalog_file,
    storage,
    present: (location) => storage.present(location),
    locate: locatorOf([{ from: warehouseIn(from), to: "" }], warehouseIn(to)),
  });
  forgetPending(request.folder);
  return superseded;
}

function rejectCopy(folder: string, from: string, { id, warehouse }: LakeDescription, is_copy: boolean): void {
  const is_original_there = existsSync(join(from, "lake.json")) && (id === undefined || idAt(from) === id);
  if (!is_original_there || (is_copy && warehouse === undefined)) return;
  throw new OperatingError(
    "LAKE_IS_A_COPY",
    `The lake at ${folder} is a copy of the one at ${from}, which still exists` +
      (warehouse === undefined ? "" : `; both have their tables in ${warehouse}`),
    {
      next_step:
        warehouse === undefined
          ? "Add --copy to make it a lake with a new id, or delete the original first."
          : "Delete the one you do not need; to create a second lake, use `backup` and `restore`, which copy " +
            "the tables.",
    },
  );
}

/** Copies the lake's files. Table files are immutable, so the copy may share them. */
async function copyInto(
  { folder, signal, progress }: MoveRequest,
  staging: string,
  { warehouse }: LakeDescription,
): Promise<void> {
  const { databases, others } = filesOfLake(folder);
  for (const name of databases) {
    await copyDatabase(join(folder, name), join(staging, name));
    syncFile(join(staging, name));
  }
  const tables = warehouse === undefined && existsSync(join(folder, "warehouse")) ? filesAt(folder, "warehouse") : [];
  const files = [...others, ...tables];
  for (const [index, path] of files.entries()) {
    signal.throwIfAborted();
    progress?.(index, files.length);
    makeFolder(join(staging, dirname(path)));
    if (!path.startsWith("warehouse/") || !isLinked(join(folder, path), join(staging, path))) {
      copyFileSync(join(folder, path), join(staging, path));
      syncFile(join(staging, path));
    }
  }
  syncFoldersTo(staging, [...databases, ...files]);
  progress?.(files.length, files.length);
}

function isLinked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    // Another disk, or a file system without hard links.
    return false;
  }
}

function emptyStaging(folder: string): void {
  for (const name of readdirSync(folder))
    if (!name.startsWith("owner.") && name !== MARKER) rmSync(join(folder, name), { recursive: true, force: true });
}

/** Claims the lake against its writer and against maintenance. */
function claimWhole(folder: string): { release(): void } {
  makeFolder(join(folder, "maintenance"));
  const claims: { release(): void }[] = [];
  for (const claimed of [folder, join(folder, "maintenance")]) {
    const claim = claimFolder(claimed, "move");
    if (claim === null) {
      for (const { release } of claims) release();
      throw new OperatingError("LAKE_IN_USE", `The lake at ${folder} is in use by ${ownerOf(claimed)}`, {
        next_step: "Stop that process first.",
      });
    }
    claims.push(claim);
  }
  return { release: onceOnly(() => claims.forEach(({ release }) => release())) };
}

function onceOnly(work: () => void): () => void {
  let is_done = false;
  return () => {
    if (!is_done) work();
    is_done = true;
  };
}

function nothingToMove(folder: string): OperatingError {
  return new OperatingError("NOTHING_TO_MOVE", `Nothing to update: the lake at ${folder} has not moved`, {
    next_step: "Give the new data folder: `coinlake move NEW_PATH`.",
  });
}

function targetInside(target: string, folder: string): OperatingError {
  return new OperatingError("TARGET_INSIDE", `Invalid target ${target}: it is inside the lake's folder ${folder}`, {
    next_step: "Choose a folder outside the lake.",
  });
}
