import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { pythonExecutable } from "../../src/lake/tools.ts";
import type { KnownContent } from "./known-stream.ts";

const REPORT_MAX_BYTES = 16 * 1024 * 1024;

/** Runs a script that reads the lake with PyIceberg. Throws with the script's report if the lake differs. */
export async function runComparison(
  catalog_url: string,
  [script, ...args]: KnownContent["comparison"],
): Promise<Record<string, unknown>> {
  const report = await new Promise<string>((resolve, reject) => {
    execFile(
      pythonExecutable(),
      [fileURLToPath(new URL(script, import.meta.url)), catalog_url, ...args],
      { maxBuffer: REPORT_MAX_BYTES },
      (error, stdout, stderr) => {
        if (error) reject(new Error(`PyIceberg disagrees with what was sent:\n${stdout}${stderr}`));
        else resolve(stdout);
      },
    );
  });
  return JSON.parse(report) as Record<string, unknown>;
}
