import assert from "node:assert/strict";
import { trimDecimal } from "../pipeline/decimal-text.ts";
import type { Chart, Pipeline, ReadTables, TableNaming } from "../pipeline/definition.ts";
import { INTERVAL_S, type Interval } from "../pipeline/intervals.ts";

export interface ChartWindow {
  interval: Interval;
  /** Id of the subject; null for all. */
  subject: string | null;
  /** Bounds in milliseconds, multiples of the interval; `to_ms` is exclusive. */
  from_ms: number;
  to_ms: number;
}

export interface ChartSeries {
  /** "" for a single series. */
  name: string;
  /** Oldest first. */
  points: { time: string; value: string }[];
}

/** The whole intervals that a request covers: at most `limit`, up to the one that contains the last moment. */
export function windowOf(
  interval: Interval,
  { from_ms, to_ms, limit }: { from_ms: number | null; to_ms: number; limit: number },
): { from_ms: number; to_ms: number } {
  const step_ms = INTERVAL_S[interval] * 1000;
  const end_ms = Math.ceil(to_ms / step_ms) * step_ms;
  const longest_ms = end_ms - limit * step_ms;
  const asked_ms = from_ms === null ? longest_ms : Math.floor(from_ms / step_ms) * step_ms;
  return { from_ms: Math.min(end_ms, Math.max(asked_ms, longest_ms)), to_ms: end_ms };
}

/**
 * The chart's values. Where an empty interval is zero, intervals without a row are filled, but none before the lake's
 * first event: the lake does not know what happened then.
 */
export async function chartSeries(
  pipeline: Pick<Pipeline, "live" | "reconciliation">,
  chart: Chart,
  window: ChartWindow,
  tables: ReadTables,
): Promise<{ series: ChartSeries[]; tables_read: ReadonlySet<string> }> {
  const { from_ms, to_ms, interval, subject } = window;
  const step_s = INTERVAL_S[interval];
  const tables_read = new Set<string>();
  const table: TableNaming = (name) => {
    tables_read.add(name);
    return tables.table(name);
  };
  const sql = chart.sql({ table, from: literal(from_ms), to: literal(to_ms), step_s, subject });
  // A past moment may be before the first commit of a table.
  if ([...tables_read].some((name) => !tables.has(name))) return { series: [], tables_read };
  const rows = await tables.rows(`select * from (${sql}) order by time`);
  const by_series = Map.groupBy(rows, (row) => row["series"] ?? "");
  assert(chart.kind === "line" || by_series.size <= 1, `the bars of ${chart.name} have several series`);
  const fill_ms = chart.empty_is_zero ? await fillFrom(pipeline, tables, from_ms, rows[0]) : null;
  if (fill_ms !== null && by_series.size === 0) by_series.set("", []);
  const series = [...by_series].map(([name, own]) => {
    const points = own.flatMap(pointOf);
    return { name, points: fill_ms === null ? points : filled(points, fill_ms, to_ms, step_s * 1000) };
  });
  return { series, tables_read };
}

/** The first interval to fill; null where the lake has no event up to the window's end. */
async function fillFrom(
  { live: { columns }, reconciliation: { accepted } }: Pick<Pipeline, "live" | "reconciliation">,
  { table, has, rows }: ReadTables,
  from_ms: number,
  first: Record<string, string | null> | undefined,
): Promise<number | null> {
  const first_ms = first === undefined ? null : millisecondsOf(first["time"] ?? "");
  if (first_ms === from_ms) return from_ms;
  if (!has(accepted)) return first_ms;
  const from = literal(from_ms);
  // The first row found is enough, and where there is none, the condition on the date prunes every file but one day's.
  const [earlier] = await rows(
    `select 1 as found from ${table(accepted)}
      where ${columns.at} < ${from} and ${columns.date} <= cast(${from} as date) limit 1`,
  );
  return earlier === undefined ? first_ms : from_ms;
}

function filled(points: ChartSeries["points"], from_ms: number, to_ms: number, step_ms: number): ChartSeries["points"] {
  const values = new Map(points.map(({ time, value }) => [time, value]));
  return Array.from({ length: Math.round((to_ms - from_ms) / step_ms) }, (_, index) => {
    const time = new Date(from_ms + index * step_ms).toISOString();
    return { time, value: values.get(time) ?? "0" };
  });
}

function pointOf(row: Record<string, string | null>): { time: string; value: string }[] {
  const value = row["value"] ?? null;
  return value === null
    ? []
    : [{ time: new Date(millisecondsOf(row["time"] ?? "")).toISOString(), value: trimDecimal(value) }];
}

/** From DuckDB's `2023-03-14 02:10:00+00`; an interval begins at a whole second. */
function millisecondsOf(text: string): number {
  const at_ms = Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`);
  assert(!Number.isNaN(at_ms), `"${text}" is not the start of an interval`);
  return at_ms;
}

function literal(at_ms: number): string {
  return `timestamptz '${new Date(at_ms).toISOString()}'`;
}
