import { spawnSync } from "node:child_process";

/** The reason to skip a test; false if a process can run with another clock. */
export const skipWithoutFaketime =
  spawnSync("faketime", ["-f", "+1d", "true"]).status === 0
    ? false
    : "gives a process another clock with faketime, which is not installed";

/** The command that runs `command` with a clock offset in seconds; timers and timeouts are unchanged. */
export function withClockOff(
  seconds: number,
  [program, ...args]: readonly [string, ...string[]],
): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  if (seconds === 0) return { command: program, args, env: {} };
  return {
    command: "faketime",
    args: ["-f", `${seconds > 0 ? "+" : ""}${seconds}`, program, ...args],
    env: { FAKETIME_DONT_FAKE_MONOTONIC: "1" },
  };
}
