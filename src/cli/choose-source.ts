import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { OperatingError } from "../errors.ts";
import { listLakes } from "../lake/lake.ts";
import type { ProducerFactory } from "../pipeline/definition.ts";
import type { Producer } from "../source/producer.ts";
import { style } from "./output.ts";
import type { StartRequest } from "./start.ts";

/** A source that has not answered by then counts as out of reach. */
const PROBE_TIMEOUT_MS = 10_000;

export interface ChosenSource {
  producer: Producer;
  lake_name: string;
}

/**
 * The producer that the request means, and the lake it belongs to. The default source is probed at its first start; where it does
 * not answer, the fallback runs in a lake of its own, and is announced as what it is.
 */
export async function chooseSource(request: StartRequest): Promise<ChosenSource> {
  const { pipeline, source, output, data_folder } = request;
  if (source !== null) return create(request, source);
  const chosen = await create(request, pipeline.default_source);
  if (listLakes(data_folder).includes(chosen.lake_name)) return chosen;
  try {
    await chosen.producer.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS));
    return chosen;
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== "SOURCE_UNREACHABLE") throw error;
    output.warn(`no live source answers: ${error.message}`);
    output.say(
      `  Running a ${style("bold", "SIMULATED")} market instead, in a lake of its own. Its prices are invented. ` +
        "Once the network is there, `npm start` goes live.",
    );
    return create(request, pipeline.fallback_source);
  }
}

async function create({ pipeline, speed }: StartRequest, text: string): Promise<ChosenSource> {
  const colon = text.indexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  const argument = colon < 0 ? null : text.slice(colon + 1);
  const factory = pipeline.producers[name];
  const names = Object.entries(pipeline.producers).map(([other, { argument: wanted }]) => describeSource(other, wanted));
  if (!factory) {
    const is_file = existsSync(text) ? ` To replay that file: --source replay:${text}.` : "";
    throw new OperatingError("UNKNOWN_SOURCE", `There is no source "${name}".`, { next_step: `Choose one of ${names.join(", ")}.${is_file}` });
  }
  if (factory.argument?.is_required && !argument) {
    throw new OperatingError("SOURCE_NEEDS_ARGUMENT", `The source "${name}" needs a ${factory.argument.name}.`, {
      next_step: `Write it as --source ${describeSource(name, factory.argument)}.`,
    });
  }
  if (argument !== null && factory.argument === null) {
    throw new OperatingError("SOURCE_TAKES_NO_ARGUMENT", `The source "${name}" takes nothing after a colon.`, {
      next_step: `Write it as --source ${name}.`,
    });
  }
  const producer = await factory.create({ argument, speed });
  return { producer, lake_name: [name, argument === null ? null : lakeSuffix(argument)].filter(Boolean).join("-") };
}

/** `name`, `name:ARGUMENT` or `name[:ARGUMENT]`, for people. */
export function describeSource(name: string, argument: ProducerFactory["argument"]): string {
  if (argument === null) return name;
  return argument.is_required ? `${name}:${argument.name}` : `${name}[:${argument.name}]`;
}

/** What a lake of this argument is called: a file's name without folder and endings, in characters safe for a folder. */
function lakeSuffix(argument: string): string {
  return basename(join("/", argument))
    .replace(/(\.(csv|jsonl|ndjson|json|txt|gz))+$/i, "")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^\.+/, "");
}
