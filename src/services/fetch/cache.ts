import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { readSetting, type Environment } from "../../base/settings.ts";
import { systemClock } from "../../base/clock.ts";
import { OperatingError, messageOf } from "../../base/errors.ts";
import { claimFolder, ownerOf } from "../../lake/ownership.ts";
import { makeFolder } from "../../base/folder.ts";

/** The folder of fetched files, shared by all checkouts and clusters of this user, with progress output. */
export interface Cache {
  folder: string;
  say(text: string): void;
  progress(label: string): { update(done: number, total: number | null): void; end(): void };
}

const CLAIM_RETRY_MS = 250;
const DIGEST_LENGTH = 12;

/**
 * `COINLAKE_CACHE`, else `coinlake` in the user's cache folder. Absolute, because every service runs in a different
 * folder.
 */
export function cacheFolder(env: Environment = process.env): string {
  return resolve(
    readSetting("COINLAKE_CACHE", env) ?? join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "coinlake"),
  );
}

export interface Fetch {
  /** `kafka-4.3.0`. */
  name: string;
  /** Files that pin the content: a change of them gives another folder. */
  pins: readonly string[];
  /** The tool that fetches. Its folder in the cache retains the finished downloads of interrupted runs. */
  tool: string;
}

/**
 * Returns the folder that `make` filled; it exists only complete and verified. Processes that need the same folder wait
 * for each other. Interrupted downloads resume.
 */
export async function fetchOnce(
  cache: Cache,
  { name, pins, tool }: Fetch,
  make: (folder: string, tool_folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash("sha256");
  for (const file of pins) hash.update(readFileSync(file));
  const folder = join(cache.folder, `${name}-${hash.digest("hex").slice(0, DIGEST_LENGTH)}`);
  if (existsSync(folder)) return folder;
  const tool_folder = join(cache.folder, tool);
  makeCacheFolder(tool_folder);
  const claim = await waitForClaim(tool_folder, name, cache);
  try {
    if (existsSync(folder)) return folder;
    const started_at_ms = performance.now();
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished);
    await make(unfinished, tool_folder);
    renameSync(unfinished, folder);
    cache.say(`fetched ${name} in ${((performance.now() - started_at_ms) / 1000).toFixed(0)} s`);
    return folder;
  } finally {
    claim.release();
  }
}

function makeCacheFolder(folder: string): void {
  try {
    makeFolder(folder);
  } catch (error) {
    throw new OperatingError("CACHE_NOT_WRITABLE", `The cache's folder ${folder} cannot be made: ${messageOf(error)}`, {
      next_step: "Name a folder that you may write to in COINLAKE_CACHE.",
      cause: error,
    });
  }
}

async function waitForClaim(folder: string, name: string, cache: Cache): Promise<{ release(): void }> {
  let is_told = false;
  for (;;) {
    const claim = claimFolder(folder, `fetching ${name}`);
    if (claim !== null) return claim;
    if (!is_told) cache.say(`waiting for ${ownerOf(folder)} ...`);
    is_told = true;
    await systemClock.wait(CLAIM_RETRY_MS);
  }
}
