import { z } from "@hono/zod-openapi";
import { Count, Time } from "./values.ts";

/** A value that two elements of one event give differently, as text; null where one gives none. */
export const Difference = z.object({
  column: z.string(),
  accepted: z.string().nullable(),
  repeated: z.string().nullable(),
});

/** A duplicate that says something else than what counts. */
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

/** The newest, and how many there are. */
export const Conflicts = z.object({ total: Count, items: z.array(Conflict) }).openapi("Conflicts");

export type Conflict = z.infer<typeof Conflict>;
export type Conflicts = z.infer<typeof Conflicts>;
