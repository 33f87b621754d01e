import { existsSync } from "node:fs";
import { OperatingError } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { namesIn } from "../pipeline/source-names.ts";
import { describeSource } from "./choose-source.ts";

/**
 * The source of each pipeline: the last of the given ones that it has; null for its default. An only pipeline gets the
 * last one, known or not. Throws SOURCE_NOT_FOUND for a source that no pipeline has.
 */
export function assignSources(pipelines: readonly Pipeline[], given: readonly string[]): (string | null)[] {
  if (pipelines.length === 1) return [given.at(-1) ?? null];
  const unknown = given.find((text) => !pipelines.some((pipeline) => has(pipeline, text)));
  if (unknown !== undefined) throw notFound(unknown, pipelines);
  return pipelines.map((pipeline) => given.findLast((text) => has(pipeline, text)) ?? null);
}

function has({ producers }: Pipeline, text: string): boolean {
  return namesIn(text).every((name) => Object.hasOwn(producers, name));
}

function notFound(text: string, pipelines: readonly Pipeline[]): OperatingError {
  const lists = pipelines.map(({ name, producers }) => {
    const sources = Object.entries(producers).map(([source, { argument }]) => describeSource(source, argument));
    return `of ${name}: ${sources.join(", ")}`;
  });
  const is_file = existsSync(text) ? ` To replay this file: --source replay:${text}.` : "";
  return new OperatingError("SOURCE_NOT_FOUND", `No pipeline has the source "${text}"`, {
    next_step: `Choose one ${lists.join("; ")}.${is_file}`,
  });
}
