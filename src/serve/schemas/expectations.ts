import { z } from "@hono/zod-openapi";
import { Count, Time } from "./values.ts";

export const UnmetExpectation = z
  .object({
    /** The suite's description of the expectation. */
    name: z.string(),
    /** Type in Great Expectations, such as `expect_column_values_to_be_unique`. */
    type: z.string(),
    columns: z.array(z.string()),
    severity: z.string().openapi({ description: "critical, warning or info" }),
    part: z.string().openapi({
      description: "The day (UTC) of the validated rows, `undated`, or `whole` for the whole table",
      example: "2025-10-10",
    }),
    observed: z.string().nullable(),
    unexpected_rows: Count.nullable(),
    sample: z.array(z.string()),
    error: z.string().nullable().openapi({ description: "Why it could not be validated" }),
  })
  .openapi("UnmetExpectation");

export const CheckedTable = z
  .object({
    table: z.string(),
    checked_at: Time.openapi({ description: "When the table was last validated" }),
    parts: Count.openapi({
      description: "Number of days validated; 1 for a table that is validated as a whole",
    }),
    rows: Count,
    expectations: Count.openapi({ description: "Number of expectations validated, over all days" }),
    unmet: z.array(UnmetExpectation),
  })
  .openapi("CheckedTable");

export const Expectations = z
  .object({
    /** When the last validation ran; null before the first. */
    checked_at: Time.nullable(),
    is_met: z
      .boolean()
      .openapi({ description: "Whether every expectation of severity critical is met in its last validation" }),
    data_docs: z
      .string()
      .nullable()
      .openapi({ description: "Path of the Data Docs on this server", example: "/data-docs/index.html" }),
    tables: z.array(CheckedTable),
  })
  .openapi("Expectations");

export type UnmetExpectation = z.infer<typeof UnmetExpectation>;
export type CheckedTable = z.infer<typeof CheckedTable>;
export type Expectations = z.infer<typeof Expectations>;
