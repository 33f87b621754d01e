import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf, OperatingError } from "../base/errors.ts";
import { findLake, listLakes } from "../lake/lake.ts";
import { inUse, isOwned } from "../lake/ownership.ts";
import type { ProducerFactory } from "../pipeline/definition.ts";
import { namesIn } from "../pipeline/source-names.ts";
import type { LakeKind, Producer } from "../producer/producer.ts";
import type { PlaceRequest } from "./lake-for.ts";
import { style, type Output } from "./output.ts";

/** The options that select a source. */
export interface SourceRequest extends PlaceRequest {
  /** The typed `name` or `name:argument`; null for the pipeline's default. */
  source: string | null;
  speed: number | "max" | null;
  is_until_drained: boolean;
  output: Output;
}

/** A source that does not answer within this time counts as unreachable. */
const PROBE_TIMEOUT_MS = 10_000;

export interface ChosenSource {
  /** At least one, all of the kind. */
  producers: readonly Producer[];
  kind: LakeKind;
  lake_name: string;
}

/**
 * Selects the producers and their lake. The default source is probed at its first start; if no producer answers, the
 * fallback source runs in a separate lake, with a notice that its data are simulated. Throws LAKE_IN_USE if that lake
 * is running already.
 */
export async function chooseSource(request: SourceRequest): Promise<ChosenSource> {
  const { pipeline, source, output, data_folder } = request;
  if (source !== null) return create(request, source);
  const chosen = await create(request, pipeline.default_source);
  if (listLakes(data_folder).includes(chosen.lake_name)) return chosen;
  const fallback = await create(request, pipeline.fallback_source);
  throwIfRunning(fallback, request);
  const unreachable = await probeAll(chosen.producers);
  if (unreachable === null) return chosen;
  output.warn(`no live source is reachable: ${unreachable}`);
  output.say(
    `  Running a ${style("bold", "SIMULATED")} market in a separate lake instead. Its prices are invented. ` +
      "Run `npm start` again once the network works to use live sources.",
  );
  return fallback;
}

/**
 * A start that fell back is usually repeated by mistake: says so before the probe, which takes long without a network.
 * A cluster's lake may have several processes.
 */
function throwIfRunning({ lake_name }: ChosenSource, { data_folder, profile, pipeline }: SourceRequest): void {
  if (profile === "cluster" || !listLakes(data_folder).includes(lake_name)) return;
  const lake = findLake(data_folder, lake_name, { is_moved_ok: true });
  if (!isOwned(lake)) return;
  throw inUse(
    lake,
    "Stop that process first. To run live sources beside it, " +
      `add \`--source ${pipeline.default_source}\` and other ports.`,
  );
}

/** Null once any producer answers, else the reasons why none does. Rethrows errors other than SOURCE_UNREACHABLE. */
async function probeAll(producers: readonly Producer[]): Promise<string | null> {
  const decided = new AbortController();
  const signal = AbortSignal.any([decided.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  try {
    await Promise.any(producers.map((producer) => producer.probe(signal)));
    return null;
  } catch (error) {
    const failures: unknown[] = error instanceof AggregateError ? error.errors : [error];
    const other = failures.find(
      (failure) => !(failure instanceof OperatingError) || failure.code !== "SOURCE_UNREACHABLE",
    );
    if (other !== undefined) throw other;
    return failures.map(messageOf).join(" ");
  } finally {
    decided.abort();
  }
}

/** Creates one source, with or without an argument, or a list of live sources. */
async function create(request: SourceRequest, text: string): Promise<ChosenSource> {
  const chosen: ChosenSource[] = [];
  for (const name of text.includes(":") ? [text] : namesIn(text)) chosen.push(await createOne(request, name));
  const [first, ...others] = chosen;
  if (first === undefined || others.length === 0) return first ?? createOne(request, text);
  if (chosen.some(({ kind }) => kind !== "live")) {
    throw new OperatingError("SOURCES_DO_NOT_MIX", `Only live sources can be combined; "${text}" names another kind`, {
      next_step: "Name only live sources, or run the other source separately: it has its own lake.",
    });
  }
  const by_id = new Map(chosen.flatMap(({ producers }) => producers).map((producer) => [producer.id, producer]));
  return { ...first, producers: [...by_id.values()] };
}

async function createOne(
  { pipeline, speed, is_until_drained, profile }: SourceRequest,
  text: string,
): Promise<ChosenSource> {
  const colon = text.indexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  const argument = colon < 0 ? null : text.slice(colon + 1);
  const factory = Object.hasOwn(pipeline.producers, name) ? pipeline.producers[name] : undefined;
  const names = Object.entries(pipeline.producers).map(([other, { argument: wanted }]) =>
    describeSource(other, wanted),
  );
  if (!factory) {
    const is_file = existsSync(text) ? ` To replay this file: --source replay:${text}.` : "";
    throw new OperatingError("SOURCE_NOT_FOUND", `Unknown source "${name}"`, {
      next_step: `Choose one of ${names.join(", ")}.${is_file}`,
    });
  }
  if (factory.argument?.is_required && !argument) {
    throw new OperatingError("SOURCE_NEEDS_ARGUMENT", `The source "${name}" requires a ${factory.argument.name}`, {
      next_step: `Write it as --source ${describeSource(name, factory.argument)}.`,
    });
  }
  if (argument !== null && factory.argument === null) {
    throw new OperatingError("SOURCE_TAKES_NO_ARGUMENT", `The source "${name}" takes no argument; got "${argument}"`, {
      next_step: `Write it as --source ${name}.`,
    });
  }
  const producers = await factory.create({ argument, speed, is_until_drained });
  const [first] = producers;
  assert(
    first !== undefined && producers.every(({ kind }) => kind === first.kind),
    `the source ${name} is at least one producer, all of one kind`,
  );
  // Live sources report the same market, so they share a lake.
  const own_name = first.kind === "live" ? first.kind : name;
  return {
    producers,
    kind: first.kind,
    lake_name: [
      profile === "cluster" ? profile : null,
      // Lakes of the first pipeline had no prefix before there was a second one.
      pipeline.lake_prefix,
      own_name,
      argument === null ? null : lakeSuffix(argument),
    ]
      .filter(Boolean)
      .join("-"),
  };
}

/** Usage of a source: `name`, `name:ARGUMENT` or `name[:ARGUMENT]`. */
export function describeSource(name: string, argument: ProducerFactory["argument"]): string {
  if (argument === null) return name;
  return argument.is_required ? `${name}:${argument.name}` : `${name}[:${argument.name}]`;
}

/** Suffix of the lake's name: the file's base name without extensions, in characters that are safe in folder names. */
function lakeSuffix(argument: string): string {
  return basename(join("/", argument))
    .replace(/(\.(csv|jsonl|ndjson|json|txt|gz))+$/i, "")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^\.+/, "");
}
