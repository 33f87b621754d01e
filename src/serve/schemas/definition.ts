import { z } from "@hono/zod-openapi";
import { ChartInfo } from "./charts.ts";
import { pageOf } from "./values.ts";

/** The pipelines that share the server, the first one first. */
export const Pipelines = z
  .object({
    items: z.array(
      z.object({
        name: z.string(),
        title: z.string(),
        base: z.string().openapi({
          description: "Path before the pipeline's routes and pages; empty for the first",
          example: "/ecommerce",
        }),
        is_serving: z.boolean(),
      }),
    ),
  })
  .openapi("Pipelines");

/** The part of a pipeline's definition that the dashboard and other clients use. */
export const PipelineInfo = z
  .object({
    name: z.string(),
    title: z.string(),
    start_page: z.enum(["overview", "market"]),
    /** Nouns for the pipeline's subjects. */
    subject: z.object({ noun: z.string(), plural: z.string() }),
    /** What a tick's value and amount are, as nouns, and the unit of both. */
    value: z.object({ noun: z.string(), unit: z.string() }),
    amount: z.object({ noun: z.string() }),
    questions: z.array(
      z.object({
        number: z.int(),
        title: z.string(),
        /** The short title of a tile. */
        tile: z.string(),
        options: z.array(
          z.object({
            name: z.string(),
            description: z.string(),
            default: z.union([z.string(), z.number()]).nullable(),
            is_subject: z.boolean(),
          }),
        ),
      }),
    ),
    charts: z.array(ChartInfo),
    /** Paths of the pipeline's own resources, under /api. */
    resources: z.array(z.string()),
    /** Explanations of the rejection reasons. */
    reasons: z.record(z.string(), z.string()),
    /** A query to start from: the newest accepted events. */
    example_sql: z.string(),
    credit: z.object({ text: z.string(), name: z.string(), url: z.string() }).nullable(),
  })
  .openapi("PipelineInfo");

export const SubjectItem = z
  .object({ id: z.string(), symbol: z.string(), name: z.string(), rank: z.int().nullable(), is_gone: z.boolean() })
  .openapi("Subject");

/** By rank, then by id. */
export const Subjects = pageOf(SubjectItem).openapi("Subjects");

export type PipelineInfo = z.infer<typeof PipelineInfo>;
export type SubjectItem = z.infer<typeof SubjectItem>;
export type Pipelines = z.infer<typeof Pipelines>;
