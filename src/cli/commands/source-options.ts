import { InvalidArgumentError, Option } from "commander";
import type { Pipeline } from "../../pipeline/definition.ts";
import { describeSource } from "../choose-source.ts";

/** `--pipeline`, by default the first one. */
export function pipelineOption(pipelines: readonly Pipeline[]): Option {
  const names = pipelines.map(({ name }) => name);
  return new Option("--pipeline <pipeline>", "pipeline to run").choices(names).default(names[0]);
}

/** `--pipeline`, one or several, by default the first one. */
export function pipelinesOption(pipelines: readonly Pipeline[]): Option {
  const names = pipelines.map(({ name }) => name);
  const [first] = pipelines;
  return new Option("--pipeline <pipelines>", `pipelines to run, separated by commas: ${names.join(", ")}`)
    .argParser((text) => parsePipelines(text, pipelines))
    .default(first === undefined ? [] : [first], first?.name);
}

function parsePipelines(text: string, pipelines: readonly Pipeline[]): Pipeline[] {
  const given = text.split(",").map((name) => name.trim());
  const found = given.map((name) => {
    const pipeline = pipelines.find((one) => one.name === name);
    if (pipeline !== undefined) return pipeline;
    throw new InvalidArgumentError(`Allowed choices are ${pipelines.map((one) => one.name).join(", ")}.`);
  });
  if (new Set(found).size < found.length) throw new InvalidArgumentError("Name each pipeline once.");
  return found;
}

export function pipelineNamed(pipelines: readonly Pipeline[], name: string): Pipeline {
  const pipeline = pipelines.find((one) => one.name === name);
  if (pipeline === undefined) throw new Error(`pipelines/all.ts has no pipeline "${name}"`);
  return pipeline;
}

/** Describes the default source in the help of `--source`. */
export function describeDefault(pipelines: readonly Pipeline[]): string {
  const defaults = pipelines.map(({ name, default_source, fallback_source }) => {
    const fallback = fallback_source === default_source ? "" : `; if unreachable at first start, ${fallback_source}`;
    return `${name}: ${default_source}${fallback}`;
  });
  return `source of records (default of ${defaults.join(", of ")})`;
}

/** Describes the sources of each pipeline, one line each. */
export function describeSources(pipelines: readonly Pipeline[]): string {
  return pipelines
    .map(({ name, producers }) => {
      const lines = Object.entries(producers).map(
        ([source, { argument, description }]) => `  ${describeSource(source, argument).padEnd(18)} ${description}`,
      );
      return [`Sources of ${name}:`, ...lines].join("\n");
    })
    .join("\n\n");
}

export function parseSpeed(text: string): number | "max" {
  if (text === "max") return "max";
  const speed = Number(text);
  if (!Number.isFinite(speed) || speed <= 0) throw new InvalidArgumentError('Use a number above 0, or "max".');
  return speed;
}
