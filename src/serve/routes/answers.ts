import { z } from "@hono/zod-openapi";
import type { Pipeline, Question } from "../../pipeline/definition.ts";
import { plainAnswer, plainAnswers } from "../../query/answers.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { requestError } from "../problem.ts";
import { Answer, Answers } from "../schemas/answers.ts";
import { Time } from "../schemas/values.ts";
import { parseInstant_ms } from "../../base/instant.ts";

/** Bounds of numeric options; a larger value is a typing error. */
const OptionNumber = z.coerce.number().gt(0).max(1_000_000);

/** Answers of the pipeline's questions, from the live views, by default as of the newest event. */
export function answerRoutes(app: App, { handle, reader }: ServerDependencies): void {
  const { pipeline, open } = handle;
  const AsOf = z.object({
    as_of: Time.optional().openapi({ description: "Event time (default: the newest event)" }),
  });
  register(app, {
    method: "get",
    path: "/api/answers",
    tag: "Answers",
    summary: "Answer all questions with their default options",
    query: AsOf,
    response: Answers,
    async handle({ query }) {
      const as_of = asOf(query.as_of);
      const answers = await Promise.all(pipeline.questions.map((question) => reader.ask(question, as_of, {})));
      return plainAnswers(open.lake, answers);
    },
  });
  register(app, {
    method: "get",
    path: "/api/answers/{number}",
    tag: "Answers",
    summary: "Answer one question",
    description: pipeline.questions.map(describeQuestion).join("\n"),
    params: z.object({ number: z.string().regex(/^\d{1,3}$/) }),
    query: optionsOf(pipeline).extend(AsOf.shape),
    response: Answer,
    async handle({ params, query: { as_of, ...values } }) {
      const question = pipeline.questions.find(({ number }) => number === Number(params.number));
      if (question === undefined)
        throw requestError(
          "QUESTION_NOT_FOUND",
          `There is no question ${params.number}`,
          "GET /api/answers lists them.",
        );
      const foreign = Object.keys(values).find(
        (name) => values[name] !== undefined && !Object.hasOwn(question.options, name),
      );
      if (foreign !== undefined)
        throw requestError(
          "INVALID_REQUEST",
          `Question ${question.number} has no option ${foreign}`,
          describeQuestion(question),
        );
      const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Record<
        string,
        string | number
      >;
      return plainAnswer(await reader.ask(question, asOf(as_of as string | undefined), given));
    },
  });
}

function asOf(text: string | undefined): string | null {
  return text === undefined ? null : new Date(parseInstant_ms(text)).toISOString();
}

/** The questions' options as query parameters; numeric if the default is a number. */
function optionsOf({ questions }: Pipeline): z.ZodObject {
  const options = Object.assign({}, ...questions.map(({ options: own }) => own)) as Question["options"];
  const shape = Object.entries(options).map(([name, { description, default: value }]): [string, z.ZodType] => {
    const type = typeof value === "number" ? OptionNumber : z.string().max(200);
    return [
      name,
      type.optional().openapi({ description: value === null ? description : `${description} (default: ${value})` }),
    ];
  });
  return z.strictObject(Object.fromEntries(shape));
}

function describeQuestion({ number, title, options }: Question): string {
  const names = Object.keys(options);
  return `${number}. ${title}${names.length > 0 ? ` (options: ${names.join(", ")})` : ""}`;
}
