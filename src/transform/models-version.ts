import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The table property that holds the version of the models which built the table's oldest rows. */
export const MODELS_VERSION_PROPERTY = "coinlake.models-version";

/** The folder, beside each project's, of the profile, macros and tests that all projects share. */
export const SHARED_PROJECT = "dbt_coinlake";

/** The folders and files that determine the rows of a dbt project's models. */
const SOURCES = ["dbt_project.yml", "macros", "models", "seeds", `../${SHARED_PROJECT}/macros`];

/**
 * A hash over the models, macros, seeds and settings of a dbt project; dbt_coinlake/macros/version.sql defines when a
 * table gets it.
 */
export function modelsVersion(project_folder: string): string {
  const hash = createHash("sha256");
  for (const path of SOURCES.flatMap((name) => filesBelow(project_folder, name)).sort()) {
    hash.update(`${path}\0`).update(
      createHash("sha256")
        .update(readFileSync(join(project_folder, path)))
        .digest(),
    );
  }
  return hash.digest("hex").slice(0, 16);
}

function filesBelow(folder: string, name: string): string[] {
  if (!existsSync(join(folder, name))) return [];
  if (name.endsWith(".yml")) return [name];
  return readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
}
