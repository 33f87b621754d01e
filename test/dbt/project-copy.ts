import { cpSync } from "node:fs";
import { join } from "node:path";
import { crypto } from "../../pipelines/crypto.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { SHARED_PROJECT } from "../../src/transform/models-version.ts";

/**
 * Copies the pipeline's dbt project into a folder, with the shared project beside it, and returns the copy's folder.
 */
export function copyDbtProject(folder: string): string {
  const { project } = crypto.transform;
  for (const name of [project, SHARED_PROJECT])
    cpSync(join(projectFolder(), name), join(folder, name), {
      recursive: true,
      filter: (path) => !/[/\\](target|logs)$/.test(path),
    });
  return join(folder, project);
}
