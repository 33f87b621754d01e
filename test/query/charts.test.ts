import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { crypto } from "../../pipelines/crypto.ts";
import type { Chart, ReadTables } from "../../src/pipeline/definition.ts";
import { INTERVAL_S, INTERVALS } from "../../src/pipeline/intervals.ts";
import { chartSeries, windowOf, type ChartWindow } from "../../src/query/charts.ts";

const START_MS = Date.parse("2026-03-01T12:00:00Z");
const MINUTE_MS = 60_000;

const CHART: Chart = {
  name: "temperature",
  title: "Temperature",
  description: "by station",
  unit: "°C",
  kind: "line",
  intervals: ["1m"],
  sql: ({ table }) => `select * from ${table("gold.temperature")}`,
};

const WINDOW: ChartWindow = {
  interval: "1m",
  subject: null,
  from_ms: START_MS,
  to_ms: START_MS + 4 * MINUTE_MS,
};

type Row = [minute: number, value: string | null, series?: string];

/** Tables whose chart has these rows; `is_older` says whether the lake has an event before the window. */
function tablesOf(rows: readonly Row[], { is_older = false, tables = ["gold.temperature"] } = {}): ReadTables {
  return {
    table: (name) => name,
    at: null,
    latest_event: async () => null,
    snapshots: () => [],
    has: (name) => tables.includes(name) || name === crypto.reconciliation.accepted,
    once: (_name, make) => make(),
    subject: async (given) => given,
    rows: async (sql) =>
      sql.includes("as found")
        ? is_older
          ? [{ found: "1" }]
          : []
        : rows.map(([minute, value, series]) => ({
            time: new Date(START_MS + minute * MINUTE_MS).toISOString().slice(0, 19).replace("T", " ") + "+00",
            value,
            ...(series === undefined ? {} : { series }),
          })),
  };
}

const valuesOf = async (chart: Chart, tables: ReadTables) =>
  (await chartSeries(crypto, chart, WINDOW, tables)).series.map(({ name, points }) => [
    name,
    ...points.map(({ time, value }) => `${(Date.parse(time) - START_MS) / MINUTE_MS}: ${value}`),
  ]);

describe("the series of a chart", () => {
  test("are separate by name, without points for missing values", async () => {
    const rows: Row[] = [
      [0, "1.50", "north"],
      [1, "2", "south"],
      [3, "-0.5", "north"],
      [3, null, "south"],
    ];
    assert.deepEqual(await valuesOf(CHART, tablesOf(rows)), [
      ["north", "0: 1.5", "3: -0.5"],
      ["south", "1: 2"],
    ]);
    assert.deepEqual(await valuesOf(CHART, tablesOf([])), []);
  });

  test("are zero in empty intervals if the chart says so, but not before the lake's first event", async () => {
    const bars: Chart = { ...CHART, kind: "bars", empty_is_zero: true };
    const rows: Row[] = [[1, "7"]];
    assert.deepEqual(await valuesOf(bars, tablesOf(rows)), [["", "1: 7", "2: 0", "3: 0"]]);
    assert.deepEqual(await valuesOf(bars, tablesOf(rows, { is_older: true })), [["", "0: 0", "1: 7", "2: 0", "3: 0"]]);
    assert.deepEqual(await valuesOf(bars, tablesOf([], { is_older: true })), [["", "0: 0", "1: 0", "2: 0", "3: 0"]]);
    assert.deepEqual(await valuesOf(bars, tablesOf([])), []);
  });

  test("are empty if a table of the chart does not exist yet", async () => {
    const found = await chartSeries(crypto, CHART, WINDOW, tablesOf([[0, "1"]], { tables: [] }));
    assert.deepEqual([found.series, [...found.tables_read]], [[], ["gold.temperature"]]);
  });

  test("are rejected if a bar chart has several, which would hide each other", async () => {
    const rows: Row[] = [
      [0, "1", "north"],
      [0, "2", "south"],
    ];
    await assert.rejects(valuesOf({ ...CHART, kind: "bars" }, tablesOf(rows)), /several series/);
  });
});

test("a window has whole intervals, at most the given number, and contains its bounds", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...INTERVALS),
      fc.integer({ min: 0, max: 2 ** 41 }),
      fc.option(fc.integer({ min: -(2 ** 40), max: 2 ** 33 })),
      fc.integer({ min: 1, max: 5_000 }),
      (interval, to_ms, back_ms, limit) => {
        const step_ms = INTERVAL_S[interval] * 1000;
        const asked_ms = back_ms === null ? null : to_ms - back_ms;
        const window = windowOf(interval, { from_ms: asked_ms, to_ms, limit });
        const count = (window.to_ms - window.from_ms) / step_ms;
        assert.ok(Number.isInteger(count) && count >= 0 && count <= limit);
        assert.ok(window.to_ms % step_ms === 0 && window.to_ms >= to_ms && window.to_ms < to_ms + step_ms);
        if (asked_ms === null) assert.equal(count, limit);
        else if (count > 0 && count < limit)
          assert.ok(window.from_ms <= asked_ms && window.from_ms > asked_ms - step_ms);
      },
    ),
  );
});
