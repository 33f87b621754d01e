import { spawnSync } from "node:child_process";

/** For a test's `skip`: false where a process can be given another clock, else the reason. */
export const skipWithoutFaketime =
  spawnSync("faketime", ["-f", "+1d", "true"]).status === 0
    ? false
    : "gives a process another clock with faketime, which is not installed";

/** The command that runs `command` by a clock that is off by so many seconds; timers and time-outs run as always. */
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
