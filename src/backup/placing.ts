import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { replaceFileDurably, syncFolder } from "../base/durable-file.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import { makeFolder } from "../base/folder.ts";

/**
 * A staging folder beside the target, under a name that no command mistakes for a lake. Renaming it to the target at
 * the end creates the complete lake atomically.
 */
export interface Staging {
  /** Target folder, in the spelling of the tables' locations. */
  place: string;
  /** Staging folder. */
  folder: string;
  /** Whether this run resumes an interrupted one for the same source. */
  is_resumed: boolean;
  /** Locations outside the folder at which this run, or the interrupted one, may have created files. */
  own: ReadonlySet<string>;
  /** Marks the folder as this run's. Called before the first write, so that a rejected run leaves no trace. */
  begin(): void;
  /** Records a file outside the folder before it is created. */
  addOwn(location: string): void;
  /** Removes the record of a file that already existed and so belongs to another process. */
  removeOwn(location: string): void;
  /** Renames the folder to the target, durably. Throws file system errors. */
  put(): void;
  release(): void;
}

/** Marker file of a staging folder: its source, then a line for each file created outside the folder. */
export const MARKER = "unfinished.json";

export interface StagingRequest {
  /** Target folder of the lake. */
  folder: string;
  /** Identifies the source; leftovers of another source are rejected. */
  source: string;
  activity: string;
}

/** Throws TARGET_NOT_EMPTY, TARGET_IN_USE, FOLDER_NOT_WRITABLE. */
export function openStaging({ folder, source, activity }: StagingRequest): Staging {
  const wanted = resolve(folder);
  if (existsSync(wanted) && readdirSync(wanted).length > 0) throw notEmpty(wanted);
  try {
    makeFolder(dirname(wanted));
    const parent = realpathSync(dirname(wanted));
    const [place, staged] = [join(parent, basename(wanted)), join(parent, `.${basename(wanted)}.unfinished`)];
    rejectForeign(staged, source);
    makeFolder(staged);
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
        // The marker has no meaning in the target folder.
        rmSync(join(place, MARKER), { force: true });
      },
      release: () => claim.release(),
    };
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw notWritable(wanted, error);
  }
}

export function notWritable(folder: string, error: unknown): OperatingError {
  return new OperatingError("FOLDER_NOT_WRITABLE", `Cannot write to ${folder}: ${messageOf(error)}`, {
    next_step: "Choose a writable folder on a disk with enough free space.",
    cause: error,
  });
}

/** Null if the marker is missing or truncated. */
function readMarker(folder: string): { source: string; own: string[] } | null {
  try {
    const [first = "", ...lines] = readFileSync(join(folder, MARKER), "utf8").split("\n");
    const { source } = JSON.parse(first) as { source: string };
    return { source, own: ownIn(lines) };
  } catch {
    return null;
  }
}

/**
 * Own locations, without those later recorded as foreign. Ignores a truncated last line: its file was not created yet.
 */
function ownIn(lines: readonly string[]): string[] {
  const own = new Set<string>();
  for (const line of lines.slice(0, -1)) {
    const { own: mine, foreign } = JSON.parse(line) as { own?: string; foreign?: string };
    if (mine !== undefined) own.add(mine);
    if (foreign !== undefined) own.delete(foreign);
  }
  return [...own];
}

function rejectForeign(folder: string, source: string): void {
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
    next_step: "Choose another folder, or another lake name with --lake; existing files are never overwritten.",
  });
}

function foreignLeftovers(folder: string): OperatingError {
  return new OperatingError("TARGET_NOT_EMPTY", `${folder} holds an unfinished lake from another source`, {
    next_step: "Delete the folder if it is not needed, or choose another target.",
  });
}

function inUse(folder: string): OperatingError {
  return new OperatingError("TARGET_IN_USE", `${folder} is in use by ${ownerOf(folder)}`, {
    next_step: "Wait for that process to finish, or choose another target.",
  });
}
