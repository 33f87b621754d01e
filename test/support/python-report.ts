import { spawn } from "node:child_process";
import { pythonExecutable } from "../../src/lake/tools.ts";

/** A Python script's standard output for any exit code, because the report contains the differences. */
export async function pythonReport(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(pythonExecutable(), [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  await new Promise((resolve) => child.once("close", resolve));
  return stdout;
}
