import { Command, InvalidArgumentError, Option } from "commander";
import type { Lake } from "../../lake/lake.ts";
import type { Pipeline, Question } from "../../pipeline/definition.ts";
import { plainAnswers } from "../../query/answers.ts";
import { ask, type Answer } from "../../query/ask.ts";
import { parseTime, withLake, type CommonOptions } from "../context.ts";
import { formatAge, formatTime } from "../format.ts";
import { formatTable, type TableLayout } from "../table.ts";
import { layoutOf, withTableOptions, type TableOptions } from "../table-options.ts";
import { styleResult } from "../output.ts";

type AskOptions = CommonOptions & TableOptions & { asOf?: number; sql?: boolean };

/** Bounds of numeric options: a window of a thousand years is a typing error. */
const NUMBER_BOUNDS = { least: 0, most: 1_000_000 };

export function askCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  const questions = pipelines.flatMap(({ name, questions: own }) =>
    own.map((question) => ({ ...question, pipeline: name })),
  );
  const numbers_known = [...new Set(questions.map(({ number }) => number))];
  const command = withTableOptions(withCommon(new Command("ask")))
    .description("answer the business questions from the gold tables")
    .argument("[question]", `question to answer: ${numbers_known.join(", ")}, or all`, "all")
    .option("--as-of <time>", "answer as of this event time (default: latest event)", parseTime)
    .option("--sql", "show the SQL of each answer");
  const known = [...new Set(questions.flatMap(({ options }) => Object.keys(options)))];
  for (const name of known) command.addOption(optionOf(name, questions));
  return command
    .addHelpText(
      "after",
      `
${pipelines.map(describeQuestions).join("\n\n")}

Example:
  npm run -s coinlake -- ask 4 --percent 3 --as-of 2023-03-15T00:00:00Z`,
    )
    .action(async (which: string, options: AskOptions & Record<string, string | number | boolean | undefined>) => {
      await withLake(options, pipelines, async ({ open, session, pipeline, output }) => {
        const chosen = pipeline.questions.filter(({ number }) => which === "all" || String(number) === which);
        if (chosen.length === 0)
          command.error(
            `error: unknown question "${which}": use one of ` +
              `${pipeline.questions.map(({ number }) => number).join(", ")} or all`,
          );
        const foreign = known.find(
          (name) => options[name] !== undefined && !chosen.some((question) => name in question.options),
        );
        if (foreign !== undefined) command.error(`error: option --${foreign} does not apply to question ${which}`);
        const as_of = options.asOf === undefined ? null : new Date(options.asOf).toISOString();
        const answers: Answer[] = [];
        for (const question of chosen) {
          const values = Object.fromEntries(
            Object.keys(question.options).flatMap((name) => valueOf(name, options[name])),
          );
          answers.push(await ask(session, pipeline, question, { as_of, values }));
        }
        if (output.is_json) output.result(answersAsJson(open.lake, answers));
        else
          output.result(
            formatAnswers(open.lake, answers, {
              with_sql: options.sql ?? false,
              layout: layoutOf(options),
              is_as_of_given: as_of !== null,
            }),
          );
      });
    });
}

type PipelineQuestion = Question & { pipeline: string };

/** An option of questions, which may have other defaults and descriptions in another pipeline. */
function optionOf(name: string, questions: readonly PipelineQuestion[]): Option {
  const having = questions.flatMap(({ options, ...question }) => {
    const option = options[name];
    return option === undefined ? [] : [{ ...question, option }];
  });
  const is_number = having.some(({ option }) => typeof option.default === "number");
  const uses = [...new Set(having.map(({ pipeline }) => pipeline))].map((pipeline) => {
    const own = having.filter((question) => question.pipeline === pipeline);
    const numbers = own.map(({ number }) => number);
    const [first] = own;
    const value = first?.option.default ?? null;
    const scope = `${pipeline} question${numbers.length === 1 ? "" : "s"} ${numbers.join(", ")}`;
    return `${first?.option.description} (${scope}${value === null ? "" : `; default: ${value}`})`;
  });
  const option = new Option(`--${name} <${is_number ? "number" : "value"}>`, uses.join("; "));
  return is_number ? option.argParser(parseNumber) : option;
}

function describeQuestions({ name, questions }: Pipeline): string {
  return [`Questions of ${name}:`, ...questions.map(({ number, title }) => `  ${number}  ${title}`)].join("\n");
}

function parseNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || number <= NUMBER_BOUNDS.least || number > NUMBER_BOUNDS.most) {
    throw new InvalidArgumentError(`Use a number above ${NUMBER_BOUNDS.least} and at most ${NUMBER_BOUNDS.most}.`);
  }
  return number;
}

interface AnswersLayout {
  with_sql?: boolean;
  layout?: Partial<TableLayout>;
  /** Whether --as-of was given; otherwise the answer is as of the newest event. */
  is_as_of_given?: boolean;
  now_ms?: number;
}

/** Answers older than this print their age and the reason. */
const OLD_MS = 5 * 60_000;
/** Sources' clocks may be ahead of this machine's by so much. */
const AHEAD_MS = 60_000;

/** The reason why an answer is older than now, or of the future; empty for a recent one. */
function describeAsOf(as_of: string, { kind }: Pick<Lake, "kind">, now_ms: number): string {
  const age_ms = now_ms - Date.parse(as_of);
  if (kind !== "replay" && age_ms < -AHEAD_MS)
    return `: ${formatAge(-age_ms)} after this machine's clock, so a clock is or was wrong`;
  if (age_ms < OLD_MS) return "";
  const clock =
    kind === "simulated" ? ", on the simulated market's clock" : kind === "replay" ? ", on the recording's clock" : "";
  return `: the newest event in gold${clock}, ${formatAge(age_ms)} ago`;
}

/** Options with values belong to questions; boolean options belong to the command. */
function valueOf(name: string, value: string | number | boolean | undefined): [string, string | number][] {
  return typeof value === "string" || typeof value === "number" ? [[name, value]] : [];
}

/** Formats answers for a terminal: each question with its parts, as-of times and the snapshots read. */
export function formatAnswers(
  lake: Pick<Lake, "name" | "kind">,
  answers: readonly Answer[],
  how: AnswersLayout = {},
): string {
  const { with_sql = false, layout = {}, is_as_of_given = false, now_ms = Date.now() } = how;
  const lines: string[] = [];
  const label = lake.kind === "live" ? "" : ` ${styleResult(["bold", "magenta"], lake.kind.toUpperCase())}`;
  for (const answer of answers) {
    lines.push(
      "",
      `${styleResult("bold", `${answer.number}. ${answer.title}`)}${label}`,
      `   as of ${formatTime(answer.as_of)}${is_as_of_given ? "" : describeAsOf(answer.as_of, lake, now_ms)}`,
    );
    for (const part of answer.parts) {
      if (part.definition.title)
        lines.push(`   ${part.definition.title}${part.lake_at ? ` (${formatTime(part.lake_at)})` : ""}`);
      if (with_sql) lines.push(styleResult("dim", part.sql));
      lines.push(part.note === null ? formatPart(part, layout) : `   ${part.note}`);
      const snapshots = part.snapshots.map(
        ({ table, snapshot_id, committed_at }) => `${table} @ ${snapshot_id} (${formatTime(committed_at)})`,
      );
      if (snapshots.length > 0) lines.push(styleResult("dim", `   from ${snapshots.join(", ")}`));
    }
  }
  return lines.join("\n");
}

/** The result's values in the order of the columns shown. */
function formatPart({ definition, result }: Answer["parts"][number], layout: Partial<TableLayout>): string {
  const shown = definition.columns
    .map((column) => ({ column, index: result.columns.findIndex(({ name }) => name === column.name) }))
    .filter(({ column, index }) => column.is_optional !== true || result.rows.some((row) => row[index] != null));
  return formatTable(
    shown.map(({ column }) => column),
    result.rows.map((row) => shown.map(({ index }) => row[index] ?? null)),
    layout,
  );
}

/** Answers as JSON, with values as text, so that no digit is lost. */
export function answersAsJson(lake: Pick<Lake, "name" | "kind">, answers: readonly Answer[]): string {
  return JSON.stringify(plainAnswers(lake, answers), null, 2);
}
