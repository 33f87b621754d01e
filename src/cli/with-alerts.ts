import { text } from "node:stream/consumers";
import { openAlertBook } from "../alert/open.ts";
import type { AlertBook } from "../alert/facade.ts";
import { systemClock } from "../base/clock.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { DEFAULT_DATA_FOLDER, findLake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { pipelineOf, type CommonOptions } from "./context.ts";
import { openOutput, type Output } from "./output.ts";

/** Opens the rules and alerts of the selected lake, also while its pipeline runs, and always closes them. */
export async function withAlerts<T>(
  options: CommonOptions,
  pipelines: readonly Pipeline[],
  work: (context: { book: AlertBook; output: Output; lake_name: string }) => Promise<T>,
): Promise<T> {
  const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
  const book = await openAlertBook(lake.folder, pipelineOf(lake, pipelines), systemClock);
  try {
    return await work({ book, output: openOutput(options.json ?? false), lake_name: lake.name });
  } finally {
    await book.close();
  }
}

/** Parses a JSON argument, or standard input if the argument is "-". Throws BAD_JSON. */
export async function parseJson(given: string): Promise<object> {
  try {
    const value: unknown = JSON.parse(given === "-" ? await text(process.stdin) : given);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw badJson(messageOf(error));
  }
  throw badJson("expected an object");
}

function badJson(why: string): OperatingError {
  return new OperatingError("BAD_JSON", `Invalid JSON: ${why}`, {
    next_step: "Give the JSON as one quoted argument, or - to read standard input; --help shows an example.",
  });
}
