import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { replaceFileDurably, syncFolder } from "../base/durable-file.ts";
import { OperatingError } from "../base/errors.ts";
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
  /** Locations outside of the folder at which this run, or the earlier one, may have made files. */
  own: ReadonlySet<string>;
  /** Marks the folder as this run's, before anything is put into it or anywhere else: what is refused before leaves no trace of a run. */
  begin(): void;
  /** Before a file is made outside of the folder. */
  addOwn(location: string): void;
  /** The file was there already: somebody else made it. */
  removeOwn(location: string): void;
  /** Renames the folder into its place, durably. Throws what the disk throws. */
  put(): void;
  release(): void;
}

/** In a staging folder: what it is filled from, and below it a line for each file made elsewhere. */
export const MARKER = "unfinished.json";

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
    refuseForeign(staged, source);
    mkdirSync(staged, { recursive: true });
    const claim = claimFolder(staged, activity);
    if (claim === null) throw inUse(staged);
    const found = readMarker(staged);
    if (found !== null && found.source !== source) {
      claim.release();
      throw foreignLeftovers(staged);
    }
    const own = new Set(found?.own);
    const record = (line: object): void => appendFileSync(join(staged, MARKER), `${JSON.stringify(line)}\n`);
    return {
      place,
      folder: staged,
      is_resumed: found !== null,
      own,
      begin() {
        const lines = [{ source }, ...[...own].map((location) => ({ own: location }))];
        replaceFileDurably(join(staged, MARKER), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      },
      addOwn(location) {
        if (own.has(location)) return;
        record({ own: location });
        own.add(location);
      },
      removeOwn(location) {
        record({ foreign: location });
        own.delete(location);
      },
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

/** Null where there is none, or where it was cut off while it was made. */
function readMarker(folder: string): { source: string; own: string[] } | null {
  try {
    const [first = "", ...lines] = readFileSync(join(folder, MARKER), "utf8").split("\n");
    const { source } = JSON.parse(first) as { source: string };
    return { source, own: ownIn(lines) };
  } catch {
    return null;
  }
}

/** A location that is recorded as another's is not this run's. The last line may be cut off: what it names was not written yet. */
function ownIn(lines: readonly string[]): string[] {
  const own = new Set<string>();
  for (const line of lines.slice(0, -1)) {
    const { own: mine, foreign } = JSON.parse(line) as { own?: string; foreign?: string };
    if (mine !== undefined) own.add(mine);
    if (foreign !== undefined) own.delete(foreign);
  }
  return [...own];
}

function refuseForeign(folder: string, source: string): void {
  if (!existsSync(folder)) return;
  const marker = readMarker(folder);
  if (marker?.source === source) return;
  const is_empty = readdirSync(folder).every(
    (name) => name.startsWith("owner.") || (name.startsWith(MARKER) && marker === null),
  );
  if (!is_empty) throw foreignLeftovers(folder);
}

function notEmpty(folder: string): OperatingError {
  return new OperatingError("TARGET_NOT_EMPTY", `${folder} exists and is not empty`, {
    next_step: "Name another folder, or another lake with --lake: nothing is written over.",
  });
}

function foreignLeftovers(folder: string): OperatingError {
  return new OperatingError("TARGET_NOT_EMPTY", `${folder} holds an unfinished lake from another source`, {
    next_step: "Delete that folder if nobody needs it, or name another target.",
  });
}

function inUse(folder: string): OperatingError {
  return new OperatingError("TARGET_IN_USE", `${folder} is being filled by ${ownerOf(folder)}`, {
    next_step: "Wait for that process, or name another target.",
  });
}
