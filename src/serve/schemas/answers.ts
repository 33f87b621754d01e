import { z } from "@hono/zod-openapi";
import { COLUMN_KINDS } from "../../pipeline/definition.ts";
import { Snapshot, Time } from "./values.ts";

export const AnswerColumn = z.object({
  /** The key in each row. */
  name: z.string(),
  /** Header for people, with the unit. */
  header: z.string(),
  kind: z.enum(COLUMN_KINDS),
  /** The column explains or completes others, and most rows have no value in it. */
  is_optional: z.boolean(),
});

export const AnswerPart = z
  .object({
    title: z.string(),
    columns: z.array(AnswerColumn),
    /** Values as strings, as DuckDB prints them. */
    rows: z.array(z.record(z.string(), z.string().nullable())),
    /** Why there are no rows. */
    note: z.string().nullable(),
    /** Lake time of the tables read; null for now. */
    lake_at: Time.nullable(),
    snapshots: z.array(Snapshot),
    sql: z.string(),
  })
  .openapi("AnswerPart");

export const Answer = z
  .object({
    question: z.int(),
    title: z.string(),
    /** Event time that the answer refers to. */
    as_of: Time,
    parts: z.array(AnswerPart),
  })
  .openapi("Answer");

export const Answers = z
  .object({ lake: z.string(), kind: z.enum(["live", "simulated", "replay"]), answers: z.array(Answer) })
  .openapi("Answers");

export type AnswerColumn = z.infer<typeof AnswerColumn>;
export type AnswerPart = z.infer<typeof AnswerPart>;
export type Answer = z.infer<typeof Answer>;
export type Answers = z.infer<typeof Answers>;
