import { z } from "@hono/zod-openapi";
import { Count, Time } from "./values.ts";

/** A column in which two elements of one event differ, as strings; null if an element has no value. */
export const Difference = z.object({
  column: z.string(),
  accepted: z.string().nullable(),
  repeated: z.string().nullable(),
});

/** A duplicate whose values differ from the accepted row. */
export const Conflict = z
  .object({
    identity: z.string(),
    source: z.string(),
    subject: z.string(),
    ingested_at: Time,
    topic: z.string(),
    partition: Count,
    offset: Count,
    element_index: Count,
    differences: z.array(Difference),
  })
  .openapi("Conflict");

/** The newest conflicts, and the total number. */
export const Conflicts = z.object({ total: Count, items: z.array(Conflict) }).openapi("Conflicts");

export type Conflict = z.infer<typeof Conflict>;
export type Conflicts = z.infer<typeof Conflicts>;
