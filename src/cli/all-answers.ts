import { messageOf, OperatingError } from "../base/errors.ts";
import { QuerySession } from "../duckdb/session.ts";
import type { OpenLake } from "../lake/open.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { ask, type Answer } from "../query/ask.ts";
import { answersAsJson, formatAnswers } from "./commands/ask.ts";
import type { Output } from "./output.ts";

/** Answers every question of the pipeline; null where the lake holds no accepted record. */
export async function answersOrNone(open: OpenLake, pipeline: Pipeline): Promise<Answer[] | null> {
  try {
    return await answerAll(open, pipeline);
  } catch (error) {
    if (error instanceof OperatingError && error.code === "LAKE_EMPTY") return null;
    throw error;
  }
}

/**
 * Prints answers beside a running pipeline: a failure is a warning, and is not reported after the signal has aborted.
 */
export async function printCurrentAnswers(
  open: OpenLake,
  pipeline: Pipeline,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  try {
    printAnswers(open, await answerAll(open, pipeline, signal), output);
  } catch (error) {
    if (!signal.aborted) output.warn(messageOf(error));
  }
}

export function printAnswers({ lake }: OpenLake, answers: readonly Answer[], output: Output): void {
  output.result(output.is_json ? answersAsJson(lake, answers) : `${formatAnswers(lake, answers)}\n`);
}

async function answerAll(open: OpenLake, pipeline: Pipeline, signal?: AbortSignal): Promise<Answer[]> {
  const session = await QuerySession.open(open);
  try {
    const answers: Answer[] = [];
    for (const question of pipeline.questions)
      answers.push(await ask(session, pipeline, question, { as_of: null, values: {}, ...(signal ? { signal } : {}) }));
    return answers;
  } finally {
    session.close();
  }
}
