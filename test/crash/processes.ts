import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";

/** A worker notices its parent's exit at once; on a loaded machine this may take some seconds. */
const END_TIMEOUT_MS = 15_000;
const LOOK_MS = 20;

/** The reason to skip a test; false if processes can be found by their mark. */
export const skipWithoutProcesses =
  process.platform === "linux" ? false : "finds the dbt worker through /proc, which only Linux has";

let marks = 0;

/**
 * An environment that marks a process and, by inheritance, all processes that it starts, so that orphans can be found
 * too.
 */
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

/** Empty for a process that has exited or belongs to another user. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

/** Ids of the child processes of `parent`, waiting for the first one; none if the signal aborts before. */
export async function childrenOf(mark: string, parent: number, signal: AbortSignal): Promise<number[]> {
  while (!signal.aborted) {
    const children = processesOf(mark).filter((pid) => pid !== parent);
    if (children.length > 0) return children;
    await wait(LOOK_MS);
  }
  return [];
}

/** Resolves when no process with the mark is running; rejects if one does not end. */
export async function untilGone(mark: string): Promise<void> {
  await eventually(() => processesOf(mark).length === 0, {
    what: () => `the end of the processes ${processesOf(mark).join(", ")}, which outlived the one that started them`,
    timeout_ms: END_TIMEOUT_MS,
    interval_ms: LOOK_MS,
  });
}
