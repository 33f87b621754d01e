import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { SqlResult } from "../../../src/serve/schemas/sql.ts";
import type { Line, LineChart } from "../../charts/line-chart.ts";
import { formatFigure } from "../../format/number.ts";
import { parseTime, zoneName } from "../../format/time.ts";
import { Empty } from "../../components/states.tsx";
import { LINE_COLOURS, palette, zone } from "../../state/settings.ts";
import { isNumeric, isTime } from "./result-grid.tsx";

const MAX_LINES = 6;
const MAX_BARS = 60;

interface Choice {
  x: number;
  y: number;
  /** Column whose values are the series; -1 for none. */
  by: number;
}

/** Guesses axes: the time column as X, the first numeric column as Y, a text column with few values as series. */
export function guess(result: SqlResult): Choice | null {
  const time = result.columns.findIndex(isTime);
  const y = result.columns.findIndex(isNumeric);
  if (y < 0) return null;
  const text = result.columns.findIndex((column, index) => !isTime(column) && !isNumeric(column) && index !== time);
  if (time < 0) return { x: text < 0 ? (y === 0 ? 1 : 0) : text, y, by: -1 };
  const names = text < 0 ? 0 : new Set(result.rows.map((row) => row[text])).size;
  return { x: time, y, by: names > 1 && names <= MAX_LINES ? text : -1 };
}

function linesOf(result: SqlResult, { x, y, by }: Choice): Line[] {
  const lines = new Map<string, Map<number, number>>();
  for (const row of result.rows) {
    const [at, value] = [row[x], row[y]];
    if (at === null || at === undefined || value === null || value === undefined) continue;
    const name = by < 0 ? (result.columns[y]?.name ?? "") : (row[by] ?? "null");
    const at_ms = Math.floor(parseTime(at) / 1000) * 1000;
    if (Number.isNaN(at_ms) || Number.isNaN(Number(value))) continue;
    const line = lines.get(name) ?? new Map<number, number>();
    lines.set(name, line.set(at_ms, Number(value)));
  }
  return [...lines].slice(0, MAX_LINES).map(([name, points]) => {
    return { name, points: [...points].map(([at_ms, value]) => ({ at_ms, value })).sort((a, b) => a.at_ms - b.at_ms) };
  });
}

/** A result as a chart: lines over time, or bars by name. */
export function ResultChart({ result }: { result: SqlResult }) {
  const guessed = useMemo(() => guess(result), [result]);
  const chosen = useSignal<Choice | null>(null);
  useEffect(() => {
    chosen.value = null;
  }, [result]);
  const choice = chosen.value ?? guessed;
  if (choice === null) return <Empty title="No chart">A chart needs a numeric column; this result has none.</Empty>;
  const is_over_time = isTime(result.columns[choice.x] ?? { name: "", type: "" });
  return (
    <div class="result-chart">
      <div class="chart-bar">
        <Pick name="X" result={result} value={choice.x} choose={(x) => (chosen.value = { ...choice, x })} />
        <Pick
          name="Y"
          result={result}
          value={choice.y}
          choose={(y) => (chosen.value = { ...choice, y })}
          of={isNumeric}
        />
        {is_over_time ? (
          <Pick
            name="series"
            result={result}
            value={choice.by}
            choose={(by) => (chosen.value = { ...choice, by })}
            with_none
          />
        ) : null}
      </div>
      {is_over_time ? (
        <Lines lines={linesOf(result, choice)} y={result.columns[choice.y]?.name ?? ""} />
      ) : (
        <Bars result={result} choice={choice} />
      )}
    </div>
  );
}

interface PickProps {
  name: string;
  result: SqlResult;
  value: number;
  choose: (column: number) => void;
  of?: (column: SqlResult["columns"][number]) => boolean;
  with_none?: boolean;
}

function Pick({ name, result, value, choose, of = () => true, with_none = false }: PickProps) {
  return (
    <label class="pick">
      <span class="muted">{name}</span>
      <select value={String(value)} onChange={(event) => choose(Number(event.currentTarget.value))}>
        {with_none ? <option value="-1">none</option> : null}
        {result.columns.map((column, index) =>
          of(column) ? (
            <option key={column.name} value={String(index)}>
              {column.name}
            </option>
          ) : null,
        )}
      </select>
    </label>
  );
}

/** Lines over time. The chart library is loaded on first use, because most results are read as tables. */
function Lines({ lines, y }: { lines: readonly Line[]; y: string }) {
  const container = useRef<HTMLDivElement>(null);
  const failure = useSignal<string | null>(null);
  useEffect(() => {
    let chart: LineChart | null = null;
    let is_wanted = true;
    const draw = async () => {
      try {
        const library = await import("../../charts/line-chart.ts");
        if (!is_wanted || container.current === null) return;
        chart = new library.LineChart(container.current);
        chart.show(lines);
      } catch (error) {
        failure.value = String(error);
      }
    };
    void draw();
    return () => {
      is_wanted = false;
      chart?.remove();
    };
  }, [lines, palette.value, zone.value]);
  const summary = lines.map(({ name, points }) => {
    const values = points.map(({ value }) => value);
    const [first, last] = [formatFigure(values[0] ?? 0), formatFigure(values.at(-1) ?? 0)];
    return `${name}: ${points.length} points, from ${first} to ${last}`;
  });
  return (
    <>
      <div class="lines-legend">
        {lines.length > 1
          ? lines.map(({ name }, index) => (
              <span key={name}>
                <span
                  class="swatch"
                  style={{ background: `var(--${LINE_COLOURS[index % LINE_COLOURS.length] ?? "accent"})` }}
                />{" "}
                {name}
              </span>
            ))
          : y}{" "}
        <span class="muted">axis in {zoneName(zone.value, Date.now())}</span>
      </div>
      {failure.value === null ? null : (
        <p class="form-error" role="alert">
          The chart could not be loaded; the table shows every value. {failure.value}
        </p>
      )}
      <div
        ref={container}
        class="lines"
        role="img"
        aria-label={`${y} over time. ${summary.join("; ")}. The table shows every value.`}
      />
    </>
  );
}

function Bars({ result, choice }: { result: SqlResult; choice: Choice }) {
  const rows = result.rows
    .slice(0, MAX_BARS)
    .map((row) => ({ name: row[choice.x] ?? "null", value: Number(row[choice.y] ?? NaN) }));
  const greatest = Math.max(...rows.map(({ value }) => (Number.isNaN(value) ? 0 : Math.abs(value))), Number.MIN_VALUE);
  return (
    <>
      <ol class="h-bars">
        {rows.map(({ name, value }, index) => (
          <li key={index}>
            <span class="h-bar-name">{name}</span>
            <span class="h-bar-track">
              <span
                class={`h-bar ${value < 0 ? "negative" : ""}`}
                style={{ width: `${Number.isNaN(value) ? 0 : (100 * Math.abs(value)) / greatest}%` }}
              />
            </span>
            <span class="figure">{Number.isNaN(value) ? "–" : formatFigure(value)}</span>
          </li>
        ))}
      </ol>
      {result.rows.length > MAX_BARS ? (
        <p class="note">
          Only the first {MAX_BARS} of {result.rows.length} rows are shown.
        </p>
      ) : null}
    </>
  );
}
