import { z } from "@hono/zod-openapi";
import { Count, Time } from "./values.ts";

export const UnmetExpectation = z
  .object({
    /** In the suite's own words. */
    name: z.string(),
    /** Great Expectations' name, such as `expect_column_values_to_be_unique`. */
    type: z.string(),
    columns: z.array(z.string()),
    severity: z.string().openapi({ description: "critical, warning or info" }),
    part: z
      .string()
      .openapi({ description: "The day whose rows it is about (UTC), `undated`, or `whole`", example: "2025-10-10" }),
    observed: z.string().nullable(),
    unexpected_rows: Count.nullable(),
    sample: z.array(z.string()),
    error: z.string().nullable().openapi({ description: "Why it could not be judged" }),
  })
  .openapi("UnmetExpectation");

export const CheckedTable = z
  .object({
    table: z.string(),
    checked_at: Time.openapi({ description: "When it was checked last" }),
    parts: Count.openapi({
      description: "How many days were checked, each as it was last; 1 for a table checked whole",
    }),
    rows: Count,
    expectations: Count.openapi({ description: "How many were judged, over all parts" }),
    unmet: z.array(UnmetExpectation),
  })
  .openapi("CheckedTable");

export const Expectations = z
  .object({
    /** Of the last check; null before the first. */
    checked_at: Time.nullable(),
    is_met: z
      .boolean()
      .openapi({ description: "Whether every expectation of severity critical is met, wherever it was judged last" }),
    data_docs: z
      .string()
      .nullable()
      .openapi({ description: "Where Data Docs are, from this server's root", example: "/data-docs/index.html" }),
    tables: z.array(CheckedTable),
  })
  .openapi("Expectations");

export type UnmetExpectation = z.infer<typeof UnmetExpectation>;
export type CheckedTable = z.infer<typeof CheckedTable>;
export type Expectations = z.infer<typeof Expectations>;
