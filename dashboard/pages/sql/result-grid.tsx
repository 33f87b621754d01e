import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { SqlResult } from "../../../src/serve/schemas/sql.ts";
import { formatMoment, parseTime, zoneName, type Zone } from "../../format/time.ts";
import { zone } from "../../state/settings.ts";

const ROW_PX = 26;
const OVERSCAN = 12;
/** Rows from which the column widths are estimated. */
const SAMPLE = 200;
const [MIN_CH, MAX_CH] = [6, 44];

type Column = SqlResult["columns"][number];

export const isNumeric = ({ type }: Column) =>
  /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|REAL|DECIMAL)/.test(type);
export const isTime = ({ type }: Column) => /^(TIMESTAMP|DATE)/.test(type);
const isZoned = ({ type }: Column) => type === "TIMESTAMP WITH TIME ZONE";

/** Decimals shown for each DECIMAL column: as many as its values need, so that the decimal points are aligned. */
function decimalsOf({ columns, rows }: SqlResult): number[] {
  return columns.map((column, index) => {
    if (!column.type.startsWith("DECIMAL")) return 0;
    return Math.max(0, ...rows.slice(0, SAMPLE).map((row) => /\.(\d*?)0*$/.exec(row[index] ?? "")?.[1]?.length ?? 0));
  });
}

/** Formats a value: decimals without further trailing zeros, times in the viewer's zone. */
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

/** A virtualised table: only visible rows are in the DOM, so that 100,000 rows scroll smoothly. */
export function ResultGrid({ result }: { result: SqlResult }) {
  const container = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(480);
  const decimals = useMemo(() => decimalsOf(result), [result]);
  const widths = useMemo(() => widthsOf(result, decimals), [result]);
  useEffect(() => {
    const element = container.current;
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
  return (
    <div
      ref={container}
      class="result-grid"
      role="table"
      tabIndex={0}
      aria-label="Result"
      aria-rowcount={result.rows.length + 1}
      aria-colcount={result.columns.length + 1}
      onScroll={(event) => (top.value = event.currentTarget.scrollTop)}
    >
      <GridHead columns={result.columns} template={template} />
      <div class="result-body" role="rowgroup" style={{ height: `${result.rows.length * ROW_PX}px` }}>
        <div class="result-window" role="presentation" style={{ transform: `translateY(${first * ROW_PX}px)` }}>
          {result.rows.slice(first, last).map((row, index) => (
            <GridRow
              key={first + index}
              row={row}
              number={first + index + 1}
              columns={result.columns}
              decimals={decimals}
              template={template}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function GridHead({ columns, template }: { columns: readonly Column[]; template: string }) {
  const zone_name = zoneName(zone.value, Date.now());
  return (
    <div class="result-head result-row" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
      <span role="columnheader" class="row-number">
        <span class="unseen">row</span>
      </span>
      {columns.map((column) => (
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
  );
}

interface GridRowProps {
  row: readonly (string | null)[];
  /** 1-based. */
  number: number;
  columns: readonly Column[];
  decimals: readonly number[];
  template: string;
}

function GridRow({ row, number, columns, decimals, template }: GridRowProps) {
  return (
    <div class="result-row" role="row" aria-rowindex={number + 1} style={{ gridTemplateColumns: template }}>
      <span role="rowheader" class="row-number">
        {number}
      </span>
      {columns.map((column, at) => (
        <Cell key={at} value={row[at] ?? null} column={column} shown={zone.value} decimals={decimals[at] ?? 0} />
      ))}
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
