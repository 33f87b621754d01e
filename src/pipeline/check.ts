import { z } from "zod";
import { OperatingError } from "../base/errors.ts";
import { COLUMN_KINDS, type Pipeline } from "./definition.ts";
import { INTERVALS } from "./intervals.ts";

const MIB = 1024 ** 2;

const tableName = z.string().regex(/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/, "use `layer.table` in lower case");

function pacing(least_ms: number, most_ms: number) {
  return z
    .looseObject({
      interval_ms: z.number().min(least_ms).max(most_ms),
      first_interval_ms: z.number().positive(),
      due_records: z.number().int().positive(),
      due_size_bytes: z.number().int().positive(),
    })
    .refine(({ interval_ms, first_interval_ms }) => first_interval_ms <= interval_ms, {
      path: ["first_interval_ms"],
      message: "use at most interval_ms",
    });
}

/**
 * What the type checker cannot know, and what a definition gets wrong that nobody has type-checked: Node runs it
 * without. Other fields may have any value.
 */
const definition = z.looseObject({
  name: z.string().regex(/^[a-z][a-z0-9_-]*$/, "use lower case"),
  topic: z.looseObject({ partitions: z.number().int().positive(), retention_ms: z.number().positive() }),
  bronze: z.looseObject({
    table: tableName,
    commit: pacing(1_000, 600_000),
    commit_size_bytes: z
      .number()
      .min(MIB)
      .max(256 * MIB),
  }),
  transform: z.looseObject({
    increment: pacing(5_000, 3_600_000),
    increment_max_share: z.number().min(0.01).max(1),
    test_interval_ms: z.number().min(60_000),
    test_max_share: z.number().min(0.001).max(1),
  }),
  reconciliation: z.looseObject({
    tables: z.record(tableName, z.looseObject({ key: z.array(z.string()).min(1) })),
  }),
  alerts: z.looseObject({ lateness_s: z.number().nonnegative() }),
  questions: z.array(
    z.looseObject({
      number: z.number().int().positive(),
      parts: z.array(z.looseObject({ columns: z.array(z.looseObject({ kind: z.enum(COLUMN_KINDS) })).min(1) })).min(1),
    }),
  ),
  charts: z.array(
    z.looseObject({
      name: z.string().regex(/^[a-z0-9_]+$/, "use lower case, digits and underscores"),
      kind: z.enum(["bars", "line"]),
      intervals: z.array(z.enum(INTERVALS)).min(1),
    }),
  ),
  dashboard: z.looseObject({ start_page: z.enum(["overview", "market"]) }),
});

/** Throws INVALID_PIPELINE that names every invalid field of a pipeline's definition. */
export function checkPipeline(pipeline: Pipeline): void {
  const { name, producers } = pipeline;
  // Each command checks: compiling the schema, which zod does by default, would take longer than using it once.
  const parsed = definition.safeParse(pipeline, { jitless: true });
  const problems = [
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${fieldAt(path)}: ${message}`),
    ...(["default_source", "fallback_source"] as const)
      .filter((field) => !Object.hasOwn(producers ?? {}, pipeline[field]))
      .map((field) => `${field}: no producer has the name ${JSON.stringify(pipeline[field])}`),
    ...repeated(pipeline.questions?.map(({ number }) => number)).map((number) => `questions: ${number} is there twice`),
    ...repeated(pipeline.charts?.map((chart) => chart.name)).map((chart) => `charts: ${chart} is there twice`),
  ];
  if (problems.length === 0) return;
  throw new OperatingError(
    "INVALID_PIPELINE",
    `The definition of the pipeline ${name} has errors: ${problems.join("; ")}`,
    {
      next_step: `Correct pipelines/${name}.ts; \`npm run -s typecheck\` shows most errors with their lines.`,
    },
  );
}

/** A path in TypeScript notation: `questions[0].parts`, `tables["gold.x"]`. */
function fieldAt(path: readonly PropertyKey[]): string {
  return path
    .map((key) =>
      typeof key === "number" ? `[${key}]` : /^\w+$/.test(String(key)) ? `.${String(key)}` : `["${String(key)}"]`,
    )
    .join("")
    .replace(/^\./, "");
}

function repeated<T>(values: readonly T[] = []): T[] {
  return values.filter((value, index) => values.indexOf(value) < index);
}
