import { randomUUID } from "node:crypto";
import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, realpathSync, rmSync } from "node:fs";
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

export interface MoveRequest {
  /** The lake's folder, where it is now. */
  folder: string;
  /** Of this disk. */
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
 * Makes the folder's present place the lake's own, after it was moved by hand. New metadata is written beside the old, then all
 * pointers move in one transaction, then lake.json: a run that is killed in between is gone on with. `is_copy` gives it another id, for
 * a copy whose original stays in use. Throws LAKE_IN_USE, LAKE_IS_A_COPY, NOTHING_TO_MOVE.
 */
export async function adopt(request: MoveRequest, { is_copy }: { is_copy: boolean }): Promise<MoveReport> {
  const { folder } = request;
  const description = descriptionOf(folder);
  const claim = claimWhole(folder);
  try {
    const from = placeOf(folder, description);
    if (isSameFolder(from, folder)) throw nothingToMove(folder);
    refuseCopy(folder, from, description, is_copy);
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
 * Moves a lake to another folder: a copy is made beside the new place, table files as links where both are on one disk; it is renamed
 * into place, which is the moment of the move, and then the old folder is deleted. Until that moment the lake is where it was. Throws
 * LAKE_IN_USE, TARGET_NOT_EMPTY, TARGET_INSIDE, NOT_COPYABLE.
 */
export async function moveTo(request: MoveRequest, target: string): Promise<MoveReport> {
  const { step } = request;
  // Through a link, the link alone would be deleted.
  const folder = realpathSync(request.folder);
  const claim = claimWhole(folder);
  try {
    const description = identified(folder);
    const from = placeOf(folder, description);
    const moved_to = movedFrom(folder, description);
    if (moved_to !== null) {
      // A run that was killed after the move has left the old folder.
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
      // From the rename on, this mark keeps everybody out of the old folder; before it, it says nothing.
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

/** A lake of an earlier version gets its id now: the mark that it moved goes by it. */
function identified(folder: string): LakeDescription {
  const description = descriptionOf(folder);
  if (description.id !== undefined) return description;
  const named = { ...description, id: randomUUID(), location: placeOf(folder, description) };
  writeDescription(folder, named);
  return named;
}

function placeOf(folder: string, { id, location, warehouse }: LakeDescription): string {
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

/** Tables in S3 stay where they are. */
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

function refuseCopy(folder: string, from: string, { id, warehouse }: LakeDescription, is_copy: boolean): void {
  const is_original_there = existsSync(join(from, "lake.json")) && (id === undefined || idAt(from) === id);
  if (!is_original_there || (is_copy && warehouse === undefined)) return;
  throw new OperatingError(
    "LAKE_IS_A_COPY",
    `The lake at ${folder} is a copy of the one at ${from}, which still exists${warehouse === undefined ? "" : `; both have their tables in ${warehouse}`}`,
    {
      next_step:
        warehouse === undefined
          ? "Add --copy to make it a lake with a new id, or delete the original first."
          : "Delete the one that is not needed; for a second lake use `backup` and `restore`, which copy its tables.",
    },
  );
}

/** Table files never change, so the copy can share them. */
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
    mkdirSync(join(staging, dirname(path)), { recursive: true });
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
    // Another disk, or one without links.
    return false;
  }
}

function emptyStaging(folder: string): void {
  for (const name of readdirSync(folder))
    if (!name.startsWith("owner.") && name !== MARKER) rmSync(join(folder, name), { recursive: true, force: true });
}

/** From its writer and from maintenance. */
function claimWhole(folder: string): { release(): void } {
  mkdirSync(join(folder, "maintenance"), { recursive: true });
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
  return new OperatingError("NOTHING_TO_MOVE", `The lake at ${folder} is in its own place`, {
    next_step: "Name the new data folder: `coinlake move NEW_PATH`.",
  });
}

function targetInside(target: string, folder: string): OperatingError {
  return new OperatingError("TARGET_INSIDE", `${target} lies inside the lake's folder ${folder}`, {
    next_step: "Name a folder outside of it.",
  });
}
