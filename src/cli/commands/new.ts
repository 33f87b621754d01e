import { Command, InvalidArgumentError } from "commander";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { projectFolder } from "../../lake/tools.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { openOutput } from "../output.ts";
import { makeFolder } from "../../base/folder.ts";

/** Names of pipelines and models are also names of files, tables and variables. */
const NAME = /^[a-z][a-z0-9_]{1,39}$/;
const LAYERS = ["silver", "gold"] as const;
const EXAMPLE_URL = "http://127.0.0.1:8000/readings.json";
const REGISTRY = join("pipelines", "all.ts");

interface PipelineOptions {
  url: string;
}

interface ModelOptions {
  pipeline: string;
  layer: string;
}

/** Scaffolds in this checkout: a pipeline, or a model of a pipeline's dbt project. */
export function newCommand(pipelines: readonly Pipeline[]): Command {
  const pipeline = new Command("pipeline")
    .description("add a pipeline: a definition, a source that polls a URL, and a dbt project")
    .argument("<name>", "lower-case letters, digits and underscores")
    .option("--url <url>", "HTTP address whose answers are stored", parseAddress, EXAMPLE_URL)
    .addHelpText("after", "\npipelines/README.md explains each file, and what to change first.")
    .action((name: string, { url }: PipelineOptions) => addPipeline(name, url, pipelines));
  const model = new Command("model")
    .description("add a table: a dbt model with its documentation and a test")
    .argument("<name>", "lower-case letters, digits and underscores")
    .requiredOption("--pipeline <name>", `pipeline of the model: ${pipelines.map(({ name }) => name).join(", ")}`)
    .option("--layer <layer>", "silver or gold", "gold")
    .action((name: string, options: ModelOptions) => addModel(name, options, pipelines));
  return new Command("new")
    .description("add a pipeline or a model to this checkout")
    .addCommand(pipeline)
    .addCommand(model);
}

function parseAddress(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? "")) return text;
  throw new InvalidArgumentError("Use an address that begins with http:// or https://.");
}

/** Throws INVALID_NAME, NAME_TAKEN. */
function addPipeline(name: string, url: string, pipelines: readonly Pipeline[]): void {
  checkName(name);
  if (pipelines.some((pipeline) => pipeline.name === name)) throw taken(`A pipeline "${name}"`);
  const written = writeTemplate("pipeline", {
    __name__: name,
    __NAME__: name.toUpperCase(),
    __url__: url,
  });
  register(name);
  const output = openOutput(false);
  for (const path of [...written, REGISTRY]) output.result(path);
  output.say(`Next: npm start -- --pipeline ${name}   (pipelines/README.md explains what to change)`);
}

/** Throws INVALID_NAME, NAME_TAKEN, PIPELINE_NOT_FOUND. */
function addModel(name: string, { pipeline: wanted, layer }: ModelOptions, pipelines: readonly Pipeline[]): void {
  checkName(name);
  const pipeline = pipelines.find((one) => one.name === wanted);
  if (pipeline === undefined || !LAYERS.some((known) => known === layer))
    throw new OperatingError("INVALID_NAME", `There is no layer "${layer}" in a pipeline "${wanted}"`, {
      next_step: `Use --layer ${LAYERS.join(" or ")}, and --pipeline ${pipelines.map((one) => one.name).join(" or ")}.`,
    });
  const folder = join(pipeline.transform.project, "models", layer);
  const written = writeTemplate("model", { __model__: name, __staging__: pipeline.live.elements }, folder);
  const output = openOutput(false);
  for (const path of written) output.result(path);
  output.say(
    `Next: write the model, and add "${layer}.${name}" to \`reconciliation.tables\` in ` +
      `pipelines/${pipeline.name}.ts, so that \`verify\` checks it.`,
  );
}

function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new OperatingError("INVALID_NAME", `Invalid name "${name}"`, {
    next_step: "Use 2 to 40 lower-case letters, digits and underscores, beginning with a letter.",
  });
}

function taken(what: string): OperatingError {
  return new OperatingError("NAME_TAKEN", `${what} exists already`, { next_step: "Choose another name." });
}

/** Writes the template's files with the words replaced, in paths too; nothing if any of them exists. */
function writeTemplate(template: string, words: Readonly<Record<string, string>>, into = ""): string[] {
  const source = join(projectFolder(), "templates", template);
  if (!existsSync(source))
    throw new OperatingError("CHECKOUT_REQUIRED", "The npm package has no folder for pipelines of your own", {
      next_step: "Clone Coinlake's repository, and run the command there.",
    });
  const fill = (text: string): string =>
    Object.entries(words).reduce((filled, [word, value]) => filled.replaceAll(word, value), text);
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ from: path, to: join(into, fill(relative(source, path))) }));
  const present = files.find(({ to }) => existsSync(join(projectFolder(), to)));
  if (present !== undefined) throw taken(`The file ${present.to}`);
  for (const { from, to } of files) {
    const path = join(projectFolder(), to);
    makeFolder(dirname(path));
    writeFileSync(path, fill(readFileSync(from, "utf8")));
  }
  return files.map(({ to }) => to).sort((a, b) => basename(a).localeCompare(basename(b)));
}

/** Adds the pipeline to the list of those that the command line knows. */
function register(name: string): void {
  const path = join(projectFolder(), REGISTRY);
  const text = readFileSync(path, "utf8")
    .replace(
      /(import type [^\n]+\n(?:import \{[^\n]+\n)*)/,
      `$1${["import", `{ ${name} }`, "from", `"./${name}.ts"`].join(" ")};\n`,
    )
    .replace(/(readonly Pipeline\[\] = \[[^\]]*)\]/, `$1, ${name}]`);
  writeFileSync(path, text);
}
