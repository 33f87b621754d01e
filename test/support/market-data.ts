import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";

/** The path of a recorded market, or null where this machine has none: a clone does not carry them. */
export function marketData(file: string): string | null {
  const folder = process.env["COINLAKE_MARKET_DATA"] ?? "../shared/data";
  const path = join(resolve(projectFolder(), folder), file);
  return existsSync(path) ? path : null;
}

/** For a test's `skip`: false where the file is here, else the reason. */
export function skipWithout(file: string): string | false {
  return marketData(file) === null ? `no ${file}: set COINLAKE_MARKET_DATA to the folder that holds it` : false;
}
