import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../src/lake/tools.ts";

/** An integer under `vars` of a dbt project, so that code outside dbt uses the limits of the models. */
export function projectVar(project: string, name: string): number {
  const file = join(project, "dbt_project.yml");
  const value = new RegExp(`^  ${name}: (\\d+)$`, "m").exec(readFileSync(join(projectFolder(), file), "utf8"))?.[1];
  if (value === undefined) throw new RangeError(`${file} has no whole number under vars.${name}`);
  return Number(value);
}
