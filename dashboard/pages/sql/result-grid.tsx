import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { SqlResult } from "../../../src/serve/schemas/sql.ts";
import { formatMoment, parseTime, zoneName, type Zone } from "../../format/time.ts";
import { zone } from "../../state/settings.ts";

const ROW_PX = 26;
const OVERSCAN = 12;
/** Widths are guessed from the first rows: reading a hundred thousand to lay out thirty costs more than it tells. */
const SAMPLE = 200;
const [MIN_CH, MAX_CH] = [6, 44];

type Column = SqlResult["columns"][number];

export const isNumeric = ({ type }: Column) =>
  /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|REAL|DECIMAL)/.test(type);
export const isTime = ({ type }: Column) => /^(TIMESTAMP|DATE)/.test(type);
const isZoned = ({ type }: Column) => type === "TIMESTAMP WITH TIME ZONE";

/** How many decimals the DECIMALs of a column need: their points stand under each other, without the zeros that all carry behind. */
function decimalsOf({ columns, rows }: SqlResult): number[] {
  return columns.map((column, index) => {
    if (!column.type.startsWith("DECIMAL")) return 0;
    return Math.max(0, ...rows.slice(0, SAMPLE).map((row) => /\.(\d*?)0*$/.exec(row[index] ?? "")?.[1]?.length ?? 0));
  });
}

/** A value as the engine gave it, less zeros behind the decimals asked for; times with a zone in the viewer's. */
export function textOf(value: string, column: Column, shown: Zone, decimals: number): string {
  if (isZoned(column)) {
    const at_ms = parseTime(value);
    if (Number.isNaN(at_ms)) return value;
    const fraction = /\.(\d+)/.exec(value)?.[0] ?? "";
    return `${formatMoment(at_ms, shown)}${fraction}`;
  }
  const point = column.type.startsWith("DECIMAL") ? value.indexOf(".") : -1;
  if (point < 0) return value;
  const least = decimals === 0 ? point : point + 1 + decimals;
  return value.slice(0, least) + value.slice(least).replace(/\.?0+$/, "");
}

function widthsOf({ columns, rows }: SqlResult, decimals: readonly number[]): number[] {
  return columns.map((column, index) => {
    const lengths = rows
      .slice(0, SAMPLE)
      .map((row) => textOf(row[index] ?? "null", column, "utc", decimals[index] ?? 0).length);
    return Math.min(MAX_CH, Math.max(MIN_CH, headerOf(column, "UTC").length, ...lengths));
  });
}

function headerOf(column: Column, zone_name: string): string {
  return isZoned(column) ? `${column.name} ${zone_name}` : column.name;
}

/** Only the rows in view are in the page; a hundred thousand scroll as ten do. */
export function ResultGrid({ result }: { result: SqlResult }) {
  const place = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(480);
  const decimals = useMemo(() => decimalsOf(result), [result]);
  const widths = useMemo(() => widthsOf(result, decimals), [result]);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    element.scrollTop = 0;
    top.value = 0;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, [result]);
  const first = Math.max(0, Math.floor(top.value / ROW_PX) - OVERSCAN);
  const last = Math.min(result.rows.length, Math.ceil((top.value + height.value) / ROW_PX) + OVERSCAN);
  const digits = String(result.rows.length).length;
  const template = `${digits + 3}ch ${widths.map((width) => `minmax(${width + 3}ch, 1fr)`).join(" ")}`;
  const zone_name = zoneName(zone.value, Date.now());
  return (
    <div
      ref={place}
      class="result-grid"
      role="table"
      tabIndex={0}
      aria-label="Result"
      aria-rowcount={result.rows.length + 1}
      aria-colcount={result.columns.length + 1}
      onScroll={(event) => (top.value = event.currentTarget.scrollTop)}
    >
      <div class="result-head result-row" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        <span role="columnheader" class="row-number">
          <span class="unseen">row</span>
        </span>
        {result.columns.map((column) => (
          <span
            key={column.name}
            role="columnheader"
            class={isNumeric(column) ? "right" : ""}
            title={`${column.name}: ${column.type}`}
          >
            {headerOf(column, zone_name)}
          </span>
        ))}
      </div>
      <div class="result-body" role="rowgroup" style={{ height: `${result.rows.length * ROW_PX}px` }}>
        <div class="result-window" role="presentation" style={{ transform: `translateY(${first * ROW_PX}px)` }}>
          {result.rows.slice(first, last).map((row, index) => (
            <div
              key={first + index}
              class="result-row"
              role="row"
              aria-rowindex={first + index + 2}
              style={{ gridTemplateColumns: template }}
            >
              <span role="rowheader" class="row-number">
                {first + index + 1}
              </span>
              {result.columns.map((column, at) => (
                <Cell
                  key={at}
                  value={row[at] ?? null}
                  column={column}
                  shown={zone.value}
                  decimals={decimals[at] ?? 0}
                />
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

interface CellProps {
  value: string | null;
  column: Column;
  shown: Zone;
  decimals: number;
}

function Cell({ value, column, shown, decimals }: CellProps) {
  if (value === null) {
    return (
      <span role="cell" class={`muted ${isNumeric(column) ? "right" : ""}`}>
        null
      </span>
    );
  }
  return (
    <span role="cell" class={isNumeric(column) ? "right" : ""} title={value}>
      {textOf(value, column, shown, decimals)}
    </span>
  );
}
