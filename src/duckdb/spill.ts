import { randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "coinlake-spill-";

/**
 * Where an engine of this process puts what does not fit in memory; DuckDB makes it when it needs it. In the system's temporary
 * folder, each with a name of its own: DuckDB's default is the folder where the command was typed.
 */
export function spillFolder(parent: string = tmpdir()): string {
  return join(parent, `${PREFIX}${process.pid}-${randomUUID()}`);
}

/** Removes what killed processes left behind. */
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
    // Somebody else's process is alive all the same.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
