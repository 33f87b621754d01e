import { spawnSync } from "node:child_process";
import { OperatingError } from "../../base/errors.ts";
import { findTool } from "./tool.ts";

/** Path of GNU tar; other implementations lack the options that select files by a pattern. Throws TOOL_NOT_FOUND. */
export function findTar(purpose: string): string {
  const remedy = "Install GNU tar (Alpine: `apk add tar`) so that it is the first on PATH.";
  const tar = findTool({ program: "tar", purpose, remedy });
  if (spawnSync(tar, ["--version"], { encoding: "utf8" }).stdout?.includes("GNU tar")) return tar;
  throw new OperatingError("TOOL_NOT_FOUND", `${tar} is not GNU tar, which ${purpose}`, { next_step: remedy });
}
