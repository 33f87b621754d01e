import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const MAIN = join(projectFolder(), "src", "cli", "main.ts");

/** Starts the command line as a separate process, as a user would. */
export function startCoinlake(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  input: string | null = null,
): { child: ChildProcess; finished: Promise<Finished> } {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args], {
    cwd: projectFolder(),
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: [input === null ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(input);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, finished };
}

export function coinlake(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  input: string | null = null,
): Promise<Finished> {
  return startCoinlake(args, env, input).finished;
}

/** A folder that is removed when the test file ends. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "coinlake-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Arguments that replay a recording at full speed into a lake of the folder, beside other tests' catalogs. */
export function replayed(recording: string, data: string): string[] {
  const replay = ["start", "--source", `replay:${recording}`, "--speed", "max", "--until-drained"];
  return [...replay, "--catalog-port", "0", "--data", data];
}
