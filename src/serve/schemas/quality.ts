import { z } from "@hono/zod-openapi";
import { Count, pageOf, Time } from "./values.ts";

export const TestNode = z.object({
  name: z.string(),
  /** dbt's status: pass, fail, warn, error or skipped. */
  status: z.string(),
  seconds: z.number(),
  failures: z.int().nullable(),
  message: z.string().nullable(),
});

export const Quality = z
  .object({
    /** Last result of each dbt test, run by the pipeline or by `coinlake dbt test`; null before the first run. */
    tests: z.object({ ran_at: Time, passed: Count, failed: Count, nodes: z.array(TestNode) }).nullable(),
    /** False until the models have run for the first time: there is nothing to test yet. */
    has_tables: z.boolean(),
    rejected: z.array(z.object({ reason: z.string(), count: Count, last_at: Time })),
    accepted: Count,
    duplicates: Count,
    rejected_today: Count,
  })
  .openapi("Quality");

export const RejectedElement = z
  .object({
    reason: z.string(),
    element: z.string().nullable(),
    source: z.string().nullable(),
    subject: z.string().nullable(),
    ingested_at: Time,
    topic: z.string(),
    partition: Count,
    offset: Count,
    element_index: Count,
  })
  .openapi("RejectedElement");

/** Newest first. */
export const RejectedElements = pageOf(RejectedElement).openapi("RejectedElements");

export type TestNode = z.infer<typeof TestNode>;
export type Quality = z.infer<typeof Quality>;
export type RejectedElement = z.infer<typeof RejectedElement>;
