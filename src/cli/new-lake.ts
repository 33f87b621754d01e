import { existsSync, rmSync, rmdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { listLakes, type Lake } from "../lake/lake.ts";
import { claimFolder } from "../lake/ownership.ts";
import { lakeFor, type PlaceRequest } from "./lake-for.ts";

/** Ends with the process; `release` ends it earlier. */
export interface Claim {
  release(): void;
}

export interface LakeOfSource {
  lake: Lake;
  is_new: boolean;
  /**
   * Removes the lake and the folders above it that this command created. For a command that failed before it opened
   * the lake: a lake that was never opened would count as existing, so the next start would not choose a fallback
   * source. Does nothing if the lake existed, or if another process has claimed it since.
   */
  discard(claims: Claim[], is_claimed: boolean): void;
}

/** Opens or creates the lake of a source, as `lakeFor` does. */
export function lakeOfSource(request: PlaceRequest, source: Parameters<typeof lakeFor>[1]): LakeOfSource {
  const is_new = !listLakes(request.data_folder).includes(source.lake_name);
  const created = missingFolders(request.data_folder);
  try {
    const lake = lakeFor(request, source);
    const discard = (claims: Claim[], is_claimed: boolean): void => {
      if (is_new && removeLake(lake, claims, is_claimed)) removeIfEmpty(created);
    };
    return { lake, is_new, discard };
  } catch (error) {
    removeIfEmpty(created);
    throw error;
  }
}

/** False if another process has claimed the lake. With the claim, nobody has written to it. */
function removeLake({ folder }: Lake, claims: Claim[], is_claimed: boolean): boolean {
  try {
    const claim = is_claimed ? undefined : claimFolder(folder, "start");
    if (claim === null) return false;
    if (claim !== undefined) claims.push(claim);
  } catch {
    // The folder could not be claimed; the error that ended the command gives the reason.
  }
  // Windows does not delete open files.
  if (process.platform === "win32") for (const claim of claims.splice(0)) claim.release();
  rmSync(folder, { recursive: true, force: true });
  return true;
}

/** The folders of a path that do not exist, innermost first. */
function missingFolders(path: string): string[] {
  const folder = resolve(path);
  return existsSync(folder) ? [] : [folder, ...missingFolders(dirname(folder))];
}

function removeIfEmpty(folders: readonly string[]): void {
  try {
    for (const folder of folders) if (existsSync(folder)) rmdirSync(folder);
  } catch {
    // Another process has written to the folder meanwhile.
  }
}
