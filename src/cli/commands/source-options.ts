import { InvalidArgumentError } from "commander";
import type { Pipeline } from "../../pipeline/definition.ts";
import { describeSource } from "../choose-source.ts";

/** Describes the default source in the help of `--source`. */
export function describeDefault({ default_source, fallback_source }: Pipeline): string {
  return `source of records (default: ${default_source}; if unreachable at first start, ${fallback_source})`;
}

/** Describes the sources, one line each. */
export function describeSources({ producers }: Pipeline): string {
  return Object.entries(producers)
    .map(([name, { argument, description }]) => `  ${describeSource(name, argument).padEnd(18)} ${description}`)
    .join("\n");
}

export function parseSpeed(text: string): number | "max" {
  if (text === "max") return "max";
  const speed = Number(text);
  if (!Number.isFinite(speed) || speed <= 0) throw new InvalidArgumentError('Use a number above 0, or "max".');
  return speed;
}
