import { z } from "@hono/zod-openapi";
import { INTERVALS } from "../../pipeline/intervals.ts";
import { Decimal, Snapshot, Time } from "./values.ts";

export const ChartInfo = z
  .object({
    name: z.string(),
    title: z.string(),
    description: z.string(),
    unit: z.string(),
    kind: z.enum(["bars", "line"]),
    /** The default first. */
    intervals: z.array(z.enum(INTERVALS)),
    /** Whether the chart can be limited to one subject. */
    has_subject_option: z.boolean(),
  })
  .openapi("ChartInfo");

export const Charts = z.object({ items: z.array(ChartInfo) }).openapi("Charts");

export const ChartPoint = z.object({
  /** Start of the interval. */
  time: Time,
  value: Decimal,
});

export const ChartValues = z
  .object({
    name: z.string(),
    interval: z.enum(INTERVALS),
    /** The subject's id; null for all subjects. */
    subject: z.string().nullable(),
    /** Start of the first interval and end of the last; null where the lake has no event. */
    from: Time.nullable(),
    to: Time.nullable(),
    /** Lake time of the tables read; null for the present, which includes events after the last commit. */
    at: Time.nullable(),
    /** Snapshots of the tables that the chart reads. */
    snapshots: z.array(Snapshot),
    /** Points are oldest first. A single series has the name "". */
    series: z.array(z.object({ name: z.string(), points: z.array(ChartPoint) })),
  })
  .openapi("ChartValues");

export type ChartInfo = z.infer<typeof ChartInfo>;
export type ChartPoint = z.infer<typeof ChartPoint>;
export type ChartValues = z.infer<typeof ChartValues>;
