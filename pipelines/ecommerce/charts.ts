import type { Chart } from "../../src/pipeline/definition.ts";

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;

const salesPerMinute: Chart = {
  name: "sales_per_minute",
  title: "Total sales per minute",
  description: "totals of the orders placed in each interval, without cancelled orders",
  unit: "USD",
  kind: "bars",
  intervals: ["1m", "5m", "15m", "1h", "1d"],
  subject_option: true,
  empty_is_zero: true,
  sql: ({ table, from, to, step_s, subject }) => `
    select time_bucket(interval ${step_s} second, minute_at, timestamptz '1970-01-01T00:00:00Z') as time,
      sum(sales) as value
    from ${table("gold.sales_per_minute")}
    where minute_at >= ${from} and minute_at < ${to}
      and placed_date >= cast(${from} as date) and placed_date <= cast(${to} as date)
      and ${subject === null ? "true" : `store = ${text(subject)}`}
    group by 1`,
};

export const charts: readonly Chart[] = [salesPerMinute];
