import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root: pipelines, dbt projects and tools are found from here, wherever the command was typed. */
export function projectFolder(): string {
  return fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");
}

/**
 * What the bootstrap fetched: `python/` (the virtual environment), `duckdb/` (extensions), `node/` where Node was too
 * old.
 */
export function toolsFolder(): string {
  return join(projectFolder(), ".tools");
}

export function pythonExecutable(): string {
  return process.platform === "win32"
    ? join(toolsFolder(), "python", "Scripts", "python.exe")
    : join(toolsFolder(), "python", "bin", "python");
}
