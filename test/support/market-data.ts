import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";

/** The path of a recorded market, or null if this machine has none: a clone does not include them. */
export function marketData(file: string): string | null {
  const folder = process.env["COINLAKE_MARKET_DATA"] ?? "../shared/data";
  const path = join(resolve(projectFolder(), folder), file);
  return existsSync(path) ? path : null;
}

/** The reason to skip a test; false if the file exists. */
export function skipWithout(file: string): string | false {
  return marketData(file) === null ? `no ${file}: set COINLAKE_MARKET_DATA to the folder that holds it` : false;
}
