import { createHash } from "node:crypto";
import { globSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../errors.ts";
import { projectFolder } from "../lake/tools.ts";
import type { CompiledRelation, DbtWorker } from "./worker.ts";

/** The project's SQL as the live tail runs it: compiled with `live: true`, see the project's macros/live.sql. */
export interface LiveModels {
  /** Of the project's files: other files, other SQL. */
  digest: string;
  relations: CompiledRelation[];
}

const CACHE_FILE = "live-models.json";
const COMPILE = ["compile", "--no-write-json", "--vars", JSON.stringify({ live: true }), "--select", "resource_type:model"];
const PROJECT_FILES = "**/*.{sql,yml,csv}";
const MADE_BY_DBT = /^(target|logs|dbt_packages)[\\/]/;

/** What was compiled before from the same files, or null. */
export function cachedModels(project: string, dbt_folder: string): LiveModels | null {
  let text: string;
  try {
    text = readFileSync(join(dbt_folder, CACHE_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const models = parse(text);
  return models?.digest === digestOf(project) ? models : null;
}

/** Compiles the models, and keeps the result in the lake's dbt folder. Throws MODEL_FAILED with dbt's words. */
export async function compileModels(worker: Pick<DbtWorker, "run">, project: string, dbt_folder: string): Promise<LiveModels> {
  const digest = digestOf(project);
  const { is_success, nodes, relations } = await worker.run(COMPILE);
  if (!is_success || relations === undefined) {
    const words = nodes.flatMap(({ name, status, message }) => (status === "error" ? [`${name}: ${message ?? "no message"}`] : []));
    throw new OperatingError("MODEL_FAILED", `dbt could not compile the models for the live tail.\n${words.join("\n")}`, {
      next_step: "Mend the model named above, then start again: `npm run -s coinlake -- dbt compile` shows the same.",
    });
  }
  const models = { digest, relations };
  const file = join(dbt_folder, CACHE_FILE);
  writeFileSync(`${file}.tmp`, JSON.stringify(models));
  renameSync(`${file}.tmp`, file);
  return models;
}

/** A file that another version wrote, or half of one, is as good as none: it can be made again. */
function parse(text: string): LiveModels | null {
  try {
    return JSON.parse(text) as LiveModels;
  } catch {
    return null;
  }
}

function digestOf(project: string): string {
  const folder = join(projectFolder(), project);
  const hash = createHash("sha256");
  const files = globSync(PROJECT_FILES, { cwd: folder }).filter((file) => !MADE_BY_DBT.test(file));
  for (const file of files.sort()) hash.update(file).update("\0").update(readFileSync(join(folder, file))).update("\0");
  return hash.digest("hex");
}
