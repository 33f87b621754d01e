import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root, independent of the working directory. */
export function projectFolder(): string {
  return fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");
}

/**
 * Tools that bin/bootstrap.js installed: `python/` (virtual environment), `duckdb/` (extensions), `node/` if Node was
 * too old.
 */
export function toolsFolder(): string {
  return join(projectFolder(), ".tools");
}

export function pythonExecutable(): string {
  return process.platform === "win32"
    ? join(toolsFolder(), "python", "Scripts", "python.exe")
    : join(toolsFolder(), "python", "bin", "python");
}
