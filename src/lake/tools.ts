import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSetting } from "../base/settings.ts";

/** The checkout, or `dist/` of the npm package, which has the same layout. */
export function projectFolder(): string {
  return fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");
}

/** The command line's main module: TypeScript in a checkout, JavaScript in the npm package. */
export function mainScript(): string {
  return join(projectFolder(), "src", "cli", `main${extname(import.meta.filename)}`);
}

/**
 * Tools that bin/bootstrap.js installed: `python/` (virtual environment), `duckdb/` (extensions), `node/` if Node was
 * too old. The bootstrap names the folder; without it, it is the checkout's.
 */
export function toolsFolder(): string {
  return readSetting("COINLAKE_TOOLS") ?? join(projectFolder(), ".tools");
}

export function pythonExecutable(): string {
  return process.platform === "win32"
    ? join(toolsFolder(), "python", "Scripts", "python.exe")
    : join(toolsFolder(), "python", "bin", "python");
}
