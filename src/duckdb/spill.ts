import { randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "coinlake-spill-";

/**
 * A unique folder for temporary files of this process, in the system's temporary folder. DuckDB creates it on demand;
 * its default is the current working directory.
 */
export function spillFolder(parent: string = tmpdir()): string {
  return join(parent, `${PREFIX}${process.pid}-${randomUUID()}`);
}

/** Removes such folders of killed processes. */
export function sweepSpill(parent: string = tmpdir()): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN;
    if (!Number.isNaN(pid) && !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user is alive too.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
