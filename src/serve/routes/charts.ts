import { z } from "@hono/zod-openapi";
import { OperatingError } from "../../base/errors.ts";
import type { ApiResource, Chart, ReadTables } from "../../pipeline/definition.ts";
import { INTERVALS, type Interval } from "../../pipeline/intervals.ts";
import { chartSeries, windowOf } from "../../query/charts.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import type { PipelineHandle } from "../pipeline-handle.ts";
import { requestError } from "../problem.ts";
import { ChartInfo, Charts, ChartValues } from "../schemas/charts.ts";
import { Time } from "../schemas/values.ts";
import { isoOfSql } from "../times.ts";
import { resourceRoute } from "./pipeline.ts";

const ChartQuery = z.strictObject({
  interval: z.enum(INTERVALS).optional().openapi({ description: "Default: the first of the chart's intervals" }),
  subject: z.string().min(1).max(200).optional().openapi({
    description: "Id, symbol or name of the subject, where the chart has this option; default: all subjects",
  }),
  from: Time.optional().openapi({
    description: "Event time in the first interval; default: `limit` intervals before `to`",
  }),
  to: Time.optional().openapi({ description: "Event time up to which intervals begin; default: the newest event" }),
  limit: z.coerce.number().int().min(1).max(5_000).default(120).openapi({ description: "Maximum number of intervals" }),
  at: Time.optional().openapi({ description: "Lake time: read the tables as of this time" }),
});

/** The pipeline's charts: their list, and the values of each. */
export function chartRoutes(app: App, dependencies: ServerDependencies): void {
  const { charts } = dependencies.handle.pipeline;
  register(app, {
    method: "get",
    path: "/api/charts",
    tag: "Data",
    summary: "List the charts",
    response: Charts,
    handle: async () => ({ items: charts.map(describeChart) }),
  });
  resourceRoute(app, dependencies, chartResource(dependencies.handle));
}

export function describeChart({ name, title, description, unit, kind, intervals, subject_option }: Chart): ChartInfo {
  return {
    name,
    title,
    description,
    unit,
    kind,
    intervals: [...intervals],
    has_subject_option: subject_option ?? false,
  };
}

function chartResource({ pipeline }: PipelineHandle): ApiResource {
  return {
    path: "charts/{name}",
    summary: "Values of a chart by interval, oldest first",
    description:
      "Intervals are whole and aligned to UTC. With `at`, reads the tables as of that time; without it, includes " +
      "records that arrived since the last commit.",
    params: z.object({ name: z.string().max(100) }),
    query: ChartQuery,
    response: ChartValues,
    fresh_ms: 1_000,
    lakeTime: ({ query }) => ChartQuery.parse(query).at ?? null,
    async answer({ params, query }, tables): Promise<z.input<typeof ChartValues> | null> {
      const chart = pipeline.charts.find(({ name }) => name === params["name"]);
      if (chart === undefined) return null;
      const request = ChartQuery.parse(query);
      const interval = intervalOf(chart, request.interval);
      const subject = await subjectOf(chart, request.subject, tables);
      const latest = request.to ?? (await latestOf(tables));
      const frame = { name: chart.name, interval, subject, at: tables.at };
      if (latest === null) return { ...frame, from: null, to: null, snapshots: [], series: [] };
      const { from_ms, to_ms } = windowOf(interval, {
        from_ms: request.from === undefined ? null : Date.parse(request.from),
        // Without `to`, the window includes the newest event itself.
        to_ms: Date.parse(latest) + (request.to === undefined ? 1 : 0),
        limit: request.limit,
      });
      const found = await chartSeries(pipeline, chart, { interval, subject, from_ms, to_ms }, tables);
      return {
        ...frame,
        from: new Date(from_ms).toISOString(),
        to: new Date(to_ms).toISOString(),
        snapshots: tables.snapshots().filter(({ table }) => found.tables_read.has(table)),
        series: found.series,
      };
    },
  };
}

async function latestOf(tables: ReadTables): Promise<string | null> {
  const latest = await tables.latest_event();
  return latest === null ? null : isoOfSql(latest.replace(/Z$/, ""));
}

function intervalOf({ name, intervals }: Chart, asked: Interval | undefined): Interval {
  const interval = asked ?? intervals[0] ?? "1m";
  if (intervals.includes(interval)) return interval;
  throw requestError(
    "INVALID_REQUEST",
    `The chart ${name} has no interval ${interval}`,
    `Its intervals are ${intervals.join(", ")}.`,
  );
}

/** Null for all subjects. A subject that the lake did not know at a past time is not an error: it had no values. */
async function subjectOf(chart: Chart, given: string | undefined, tables: ReadTables): Promise<string | null> {
  if (given === undefined) return null;
  if (chart.subject_option !== true)
    throw requestError(
      "INVALID_REQUEST",
      `The chart ${chart.name} has no option subject`,
      "GET /api/charts lists the options of each chart.",
    );
  try {
    return await tables.subject(given);
  } catch (error) {
    if (tables.at !== null && error instanceof OperatingError && error.code === "SUBJECT_NOT_FOUND") return given;
    throw error;
  }
}
