import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";

/** An integer under `vars` of dbt_crypto/dbt_project.yml, so that SQL outside dbt uses the limits of the models. */
export function projectVar(name: string): number {
  const text = readFileSync(join(projectFolder(), "dbt_crypto", "dbt_project.yml"), "utf8");
  const value = new RegExp(`^  ${name}: (\\d+)$`, "m").exec(text)?.[1];
  if (value === undefined) throw new RangeError(`dbt_crypto/dbt_project.yml has no whole number under vars.${name}`);
  return Number(value);
}
