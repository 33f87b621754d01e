import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { startCoinlake, type Finished } from "../support/coinlake.ts";
import type { Kill, Moment } from "./plan.ts";
import { childrenOf, freshMark, untilGone } from "./processes.ts";

/** A longer life has not reached its moment; it is ended, and counted as not reached. */
const LONGEST_LIFE_MS = 90_000;

export interface Life {
  finished: Finished;
  lived_ms: number;
  /**
   * Whether the moment was reached. False for a process that had to be ended otherwise or ended well before the moment.
   */
  is_reached: boolean;
  /** Resolves when the dbt worker has exited too; rejects if it remains. */
  worker_gone: Promise<void>;
}

/** A process that ended by itself, contrary to the plan. */
export class UnplannedEnd extends Error {
  constructor({ code, signal, stderr }: Finished) {
    super(`the process ended by itself (${signal ?? `exit code ${code}`}):\n${stderr.slice(-4000)}`);
  }
}

/** One life of the pipeline, from its start to its kill; a source without a speed has null. Throws UnplannedEnd. */
export async function live(
  args: readonly string[],
  { moment, is_draining }: Kill,
  speed: Kill["speed"] | null,
): Promise<Life> {
  const { mark, env } = freshMark();
  const born_ms = performance.now();
  const pace = speed === null ? [] : ["--speed", String(speed)];
  const all = ["start", ...args, "--port", "0", ...pace, ...(is_draining ? ["--until-drained"] : [])];
  const instruction = moment.kind === "step" ? { COINLAKE_KILL_AT: `${moment.step}:${moment.nth}` } : {};
  const { child, finished } = startCoinlake(all, { ...env, ...instruction });
  const ended = new AbortController();
  void once(child, "exit").then(() => ended.abort());
  let is_reached = moment.kind === "step";
  const watch = async (): Promise<void> => {
    const { signal } = ended;
    if (moment.kind !== "step")
      is_reached = await passes(moment, { mark, pid: child.pid ?? 0, stderr: child.stderr, signal });
    else if (!(await pause(LONGEST_LIFE_MS, signal))) return;
    else is_reached = false;
    child.kill("SIGKILL");
  };
  const [end] = await Promise.all([finished, watch()]);
  if (end.signal !== "SIGKILL" && !(is_draining && end.code === 0)) throw new UnplannedEnd(end);
  return {
    finished: end,
    lived_ms: performance.now() - born_ms,
    is_reached: is_reached && end.signal === "SIGKILL",
    worker_gone: untilGone(mark),
  };
}

/** The last life, which exits by itself although its dbt worker is killed once. */
export async function drain(
  args: readonly string[],
  speed: "max" | null,
  worker_dies_after_ms: number,
): Promise<Finished> {
  const { mark, env } = freshMark();
  const pace = speed === null ? [] : ["--speed", speed];
  const { child, finished } = startCoinlake(["start", ...args, ...pace, "--until-drained"], env);
  const ended = new AbortController();
  void once(child, "exit").then(() => ended.abort());
  if (await pause(worker_dies_after_ms, ended.signal)) {
    for (const worker of await childrenOf(mark, child.pid ?? 0, ended.signal)) process.kill(worker, "SIGKILL");
  }
  const end = await finished;
  await untilGone(mark);
  return end;
}

interface Watched {
  mark: string;
  pid: number;
  stderr: NodeJS.ReadableStream | null;
  signal: AbortSignal;
}

/** Waits for a moment that is not a failpoint; false if the process ended before it, or never reached it. */
async function passes(
  moment: Exclude<Moment, { kind: "step" }>,
  { mark, pid, stderr, signal }: Watched,
): Promise<boolean> {
  if (!(await pause(moment.after_ms, signal))) return false;
  if (moment.kind === "time") return true;
  const too_late = AbortSignal.timeout(LONGEST_LIFE_MS);
  const workers = await childrenOf(mark, pid, AbortSignal.any([signal, too_late]));
  const up_to_date = new AbortController();
  stderr?.on("data", (text: string) => {
    if (text.includes("gold updated")) up_to_date.abort();
  });
  for (const worker of workers) process.kill(worker, "SIGKILL");
  await pause(LONGEST_LIFE_MS, AbortSignal.any([signal, too_late, up_to_date.signal]));
  return up_to_date.signal.aborted;
}

/** Whether the time passed before the signal aborted. */
async function pause(time_ms: number, signal: AbortSignal): Promise<boolean> {
  return wait(time_ms, true, { signal }).catch(() => false);
}
