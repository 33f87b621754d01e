import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { claimFolder } from "../../src/lake/ownership.ts";
import { temporaryFolder } from "./coinlake.ts";
import { eventually } from "./eventually.ts";

/** The environment variable with the folder that the files of one run share; `test/run.ts` sets it. */
export const KEPT = "COINLAKE_TEST_KEPT";

/** Builds take seconds; on a busy machine, minutes. */
const BUILD_TIMEOUT_MS = 600_000;

/**
 * A folder that the first test file of a run builds, and that all files read and none changes. Other files wait for a
 * build in progress, and build it themselves if it fails. A file that runs without `test/run.ts` builds its own.
 */
export async function keptFolder(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const root = process.env[KEPT] ?? ownFolder();
  const [folder, done, lock] = [join(root, name), join(root, `${name}.done`), join(root, `${name}.lock`)];
  mkdirSync(lock, { recursive: true });
  const claim = await eventually(() => existsSync(done) || claimFolder(lock, `builds ${name}`), {
    what: `the test folder "${name}"`,
    timeout_ms: BUILD_TIMEOUT_MS,
    interval_ms: 100,
  });
  if (claim === true) return folder;
  try {
    if (existsSync(done)) return folder;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    await build(folder);
    writeFileSync(done, "");
    return folder;
  } finally {
    claim.release();
  }
}

const own: { path: string | null } = { path: null };

function ownFolder(): string {
  if (own.path === null) {
    const { path, remove } = temporaryFolder();
    own.path = path;
    process.once("exit", remove);
  }
  return own.path;
}
