import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";

/** A worker sees at once that its parent is gone; on a loaded machine "at once" may take a while. */
const END_TIMEOUT_MS = 15_000;
const LOOK_MS = 20;

/** For a test's `skip`: false where processes can be found by their mark, else the reason. */
export const skipWithoutProcesses =
  process.platform === "linux" ? false : "finds the dbt worker through /proc, which only Linux has";

let marks = 0;

/** The environment that marks a process and, as they inherit it, all that it starts, so that they can be found as orphans too. */
export function freshMark(): { mark: string; env: NodeJS.ProcessEnv } {
  const mark = `${process.pid}-${(marks += 1)}`;
  return { mark, env: { COINLAKE_TEST_MARK: mark } };
}

/** Ids of the running processes with the mark. */
export function processesOf(mark: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(`COINLAKE_TEST_MARK=${mark}\0`))
    .map(Number);
}

/** Empty for a process that is gone or somebody else's. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

/** Ids of the processes that `parent` started, waiting for the first; none if the signal aborts before. */
export async function childrenOf(mark: string, parent: number, signal: AbortSignal): Promise<number[]> {
  while (!signal.aborted) {
    const children = processesOf(mark).filter((pid) => pid !== parent);
    if (children.length > 0) return children;
    await wait(LOOK_MS);
  }
  return [];
}

/** Resolves when no process with the mark runs any more; rejects when one does not end. */
export async function untilGone(mark: string): Promise<void> {
  await eventually(() => processesOf(mark).length === 0, {
    what: () => `the end of the processes ${processesOf(mark).join(", ")}, which outlived the one that started them`,
    timeout_ms: END_TIMEOUT_MS,
    interval_ms: LOOK_MS,
  });
}
