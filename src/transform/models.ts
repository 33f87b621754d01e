import { createHash } from "node:crypto";
import { globSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../base/errors.ts";
import { projectFolder } from "../lake/tools.ts";
import { SHARED_PROJECT } from "./models-version.ts";
import type { CommandResult, CompiledRelation, DbtWorker } from "./worker.ts";

/** The project's SQL for the live tail, compiled with `live: true`: see dbt_coinlake/macros/live.sql. */
export interface LiveModels {
  /** A hash of the project's files, which determine the SQL. */
  digest: string;
  relations: CompiledRelation[];
}

/** In the dbt folder of a lake. */
export const CACHE_FILE = "live-models.json";
const SEED = ["seed", "--no-write-json"];
const COMPILE = [
  "compile",
  "--no-write-json",
  "--vars",
  JSON.stringify({ live: true }),
  "--select",
  "resource_type:model",
];
const PROJECT_FILES = ["**/*.{sql,yml,csv}", `../${SHARED_PROJECT}/**/*.{sql,yml}`];
const MADE_BY_DBT = /^(target|logs|dbt_packages)[\\/]/;

/** The models compiled earlier from the same files, with their seeds loaded; null where there are none. */
export function cachedModels(project: string, dbt_folder: string): LiveModels | null {
  const models = lastModels(dbt_folder);
  return models?.digest === digestOf(project) ? models : null;
}

/**
 * The models compiled last, which a running pipeline uses even after the project's files changed. Null before the first
 * compilation.
 */
export function lastModels(dbt_folder: string): LiveModels | null {
  let text: string;
  try {
    text = readFileSync(join(dbt_folder, CACHE_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return parse(text);
}

/**
 * Compiles the models for a process that serves the lake, and stores the result in the lake's dbt folder. Loads the
 * seeds first, which the models read, where the worker's engine also writes the tables. Throws MODEL_FAILED with dbt's
 * message.
 */
export async function prepareModels(
  worker: Pick<DbtWorker, "run">,
  project: string,
  dbt_folder: string,
  { with_seeds = true } = {},
): Promise<LiveModels> {
  // Both are queued together: an increment between them would delay the live views and the dashboard by its duration.
  const seeding = with_seeds ? worker.run(SEED) : null;
  const [seeded, compiled] = await Promise.allSettled([seeding, compileModels(worker, project)]);
  if (seeded.status === "rejected") throw seeded.reason;
  if (seeded.value?.is_success === false) throw failed("load the seeds", seeded.value);
  if (compiled.status === "rejected") throw compiled.reason;
  const models = compiled.value;
  const file = join(dbt_folder, CACHE_FILE);
  writeFileSync(`${file}.tmp`, JSON.stringify(models));
  renameSync(`${file}.tmp`, file);
  return models;
}

/** Compiles the models without a change to the lake. Throws MODEL_FAILED with dbt's message. */
export async function compileModels(worker: Pick<DbtWorker, "run">, project: string): Promise<LiveModels> {
  const digest = digestOf(project);
  const compiled = await worker.run(COMPILE);
  if (!compiled.is_success || compiled.relations === undefined)
    throw failed("compile the models for the live tail", compiled);
  return { digest, relations: compiled.relations };
}

function failed(what: string, { nodes }: CommandResult): OperatingError {
  const words = nodes.flatMap(({ name, status, message }) =>
    status === "error" ? [`${name}: ${message ?? "no message"}`] : [],
  );
  return new OperatingError("MODEL_FAILED", `dbt could not ${what}.\n${words.join("\n")}`, {
    next_step: "Correct what is named above, then start again; `npm run -s coinlake -- dbt compile` says more.",
  });
}

/** Returns null also for a file of another version or an incomplete file; the models are then compiled again. */
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
  for (const file of files.sort())
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(folder, file)))
      .update("\0");
  return hash.digest("hex");
}
