import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { OperatingError } from "../errors.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";

/**
 * A lake folder that is filled beside its place, under a name that no command takes for a lake, and renamed into it at the end: a lake
 * is there whole or not at all.
 */
export interface Staging {
  /** Where the lake will be, as its tables' locations spell it. */
  place: string;
  /** Where it is filled. */
  folder: string;
  /** Whether an earlier run for the same source was cut off here. */
  is_resumed: boolean;
  /** Renames the folder into its place, durably. Throws what the disk throws. */
  put(): void;
  release(): void;
}

/** In a staging folder: what it is filled from. */
const MARKER = "unfinished.json";

export interface StagingRequest {
  /** Of the lake to be. */
  folder: string;
  /** What it is filled from: another source's leftovers are refused. */
  source: string;
  activity: string;
}

/** Throws TARGET_NOT_EMPTY, TARGET_IN_USE, FOLDER_NOT_WRITABLE. */
export function openStaging({ folder, source, activity }: StagingRequest): Staging {
  const wanted = resolve(folder);
  if (existsSync(wanted) && readdirSync(wanted).length > 0) throw notEmpty(wanted);
  try {
    mkdirSync(dirname(wanted), { recursive: true });
    const parent = realpathSync(dirname(wanted));
    const [place, staged] = [join(parent, basename(wanted)), join(parent, `.${basename(wanted)}.unfinished`)];
    const is_resumed = existsSync(staged) && readMarker(staged) === source;
    const is_foreign = existsSync(staged) && !is_resumed && readdirSync(staged).some((name) => !name.startsWith("owner."));
    if (is_foreign) throw foreignLeftovers(staged);
    mkdirSync(staged, { recursive: true });
    const claim = claimFolder(staged, activity);
    if (claim === null) throw inUse(staged);
    writeFileSync(join(staged, MARKER), `${JSON.stringify({ source })}\n`);
    return {
      place,
      folder: staged,
      is_resumed,
      put() {
        if (existsSync(place)) rmdirSync(place);
        syncFolder(staged);
        renameSync(staged, place);
        syncFolder(parent);
        // Means nothing in a lake's own place.
        rmSync(join(place, MARKER), { force: true });
      },
      release: () => claim.release(),
    };
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw new OperatingError("FOLDER_NOT_WRITABLE", `${wanted} cannot be filled: ${(error as Error).message}`, {
      next_step: "Name a folder that you may write to, on a disk with room.",
      cause: error,
    });
  }
}

/** Makes a file's content durable; of a folder its entries. */
export function syncFile(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export function syncFolder(path: string): void {
  if (process.platform !== "win32") syncFile(path);
}

function readMarker(folder: string): string | null {
  try {
    return (JSON.parse(readFileSync(join(folder, MARKER), "utf8")) as { source: string }).source;
  } catch {
    return null;
  }
}

function notEmpty(folder: string): OperatingError {
  return new OperatingError("TARGET_NOT_EMPTY", `${folder} exists and is not empty`, { next_step: "Name another folder, or another lake with --lake: nothing is written over." });
}

function foreignLeftovers(folder: string): OperatingError {
  return new OperatingError("TARGET_NOT_EMPTY", `${folder} holds an unfinished lake from another source`, {
    next_step: "Delete that folder if nobody needs it, or name another target.",
  });
}

function inUse(folder: string): OperatingError {
  return new OperatingError("TARGET_IN_USE", `${folder} is being filled by ${ownerOf(folder)}`, { next_step: "Wait for that process, or name another target.", is_retryable: true });
}
