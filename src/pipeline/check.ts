import { z } from "zod";
import { OperatingError } from "../base/errors.ts";
import { COLUMN_KINDS, type Pipeline } from "./definition.ts";
import { INTERVALS } from "./intervals.ts";
import { namesIn } from "./source-names.ts";

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

/** An array whose elements differ in `key`. */
function unique<T extends z.ZodType>(element: T, key: keyof z.infer<T> & string) {
  return z.array(element).superRefine((elements, context) => {
    const values = elements.map((one) => one[key]);
    for (const value of values.filter((one, index) => values.indexOf(one) < index))
      context.addIssue({ code: "custom", message: `the ${key} ${String(value)} is used twice` });
  });
}

/**
 * The ranges and names that types cannot express, and the types of fields that fail late: Node runs a definition
 * without type-checking it. Other fields are not checked.
 */
const definition = z
  .looseObject({
    name: z.string().regex(/^[a-z][a-z0-9_-]*$/, "use lower-case letters, digits, _ and -, beginning with a letter"),
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
    producers: z.record(z.string(), z.looseObject({})),
    default_source: z.string(),
    fallback_source: z.string(),
    reconciliation: z.looseObject({
      tables: z.record(tableName, z.looseObject({ key: z.array(z.string()).min(1) })),
    }),
    alerts: z.looseObject({ lateness_s: z.number().nonnegative() }),
    questions: unique(
      z.looseObject({
        number: z.number().int().positive(),
        parts: z
          .array(z.looseObject({ columns: z.array(z.looseObject({ kind: z.enum(COLUMN_KINDS) })).min(1) }))
          .min(1),
      }),
      "number",
    ),
    charts: unique(
      z.looseObject({
        name: z.string().regex(/^[a-z0-9_]+$/, "use lower case, digits and underscores"),
        kind: z.enum(["bars", "line"]),
        intervals: z.array(z.enum(INTERVALS)).min(1),
      }),
      "name",
    ),
    dashboard: z.looseObject({ start_page: z.enum(["overview", "market"]) }),
  })
  .superRefine((pipeline, context) => {
    for (const field of ["default_source", "fallback_source"] as const) {
      for (const name of namesIn(pipeline[field]))
        if (!Object.hasOwn(pipeline.producers, name))
          context.addIssue({ code: "custom", path: [field], message: `no producer has the name "${name}"` });
    }
  });

/** Throws INVALID_PIPELINE that names every invalid field of a pipeline's definition. */
export function checkPipeline(pipeline: Pipeline): void {
  // Each command checks: compiling the schema, which zod does by default, would take longer than using it once.
  const parsed = definition.safeParse(pipeline, { jitless: true });
  if (parsed.success) return;
  const problems = parsed.error.issues.map((issue) => `${fieldAt(issue.path)}: ${messageOfIssue(issue)}`);
  throw new OperatingError(
    "INVALID_PIPELINE",
    `The definition of the pipeline ${pipeline.name} has errors: ${problems.join("; ")}`,
    {
      next_step: `Correct pipelines/${pipeline.name}.ts; \`npm run -s typecheck\` shows most errors with their lines.`,
    },
  );
}

/** For a key of a record, zod's own message says only that it is invalid. */
function messageOfIssue(issue: z.core.$ZodIssue): string {
  return (issue.code === "invalid_key" ? issue.issues[0]?.message : undefined) ?? issue.message;
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
