import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { projectFolder } from "../src/lake/tools.ts";
import { cpuSeconds } from "./load.ts";
import { watchMemory, type MemoryPeak } from "./memory.ts";

export interface Run {
  code: number | null;
  seconds: number;
  /** CPU time of the process and its ended descendants; NaN without /proc. */
  cpu_seconds: number;
  stdout: string;
  stderr: string;
  memory: MemoryPeak;
}

/** The run of a command that must succeed. Throws an AssertionError with its output otherwise. */
export async function succeeded(run: Promise<Run>): Promise<Run> {
  const { code, stdout, stderr } = await run;
  assert.equal(code, 0, stdout + stderr);
  return run;
}

/** Runs the command line in a separate process. */
export function runCoinlake(args: readonly string[], options: { until?: RegExp } = {}): Promise<Run> {
  return runScript(join(projectFolder(), "src", "cli", "main.ts"), args, options);
}

/**
 * Runs a script in a separate process. With `until`, measures until the output contains this text, then asks the
 * process to stop.
 */
export function runScript(script: string, args: readonly string[], options: { until?: RegExp } = {}): Promise<Run> {
  const started = performance.now();
  const cpu_before = childrenCpuSeconds();
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, ...args], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const memory = watchMemory(child.pid ?? 0);
  let stdout = "";
  let stderr = "";
  let seen_seconds: number | null = null;
  const look = () => {
    if (seen_seconds !== null || !options.until?.test(stdout + stderr)) return;
    seen_seconds = (performance.now() - started) / 1000;
    child.kill("SIGINT");
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => ((stdout += text), look()));
  child.stderr.setEncoding("utf8").on("data", (text: string) => ((stderr += text), look()));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({
        code,
        seconds: seen_seconds ?? (performance.now() - started) / 1000,
        cpu_seconds: childrenCpuSeconds() - cpu_before,
        stdout,
        stderr,
        memory: memory(),
      });
    });
  });
}

/** CPU time of the children that have ended. */
function childrenCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return cpuSeconds([process.pid]) - (user + system) / 1e6;
}
