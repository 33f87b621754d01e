import Table from "cli-table3";
import type { Column } from "../pipeline/definition.ts";
import { displayWidth, elide, wrapWords } from "./display-width.ts";
import { formatCell, isText, MISSING } from "./format.ts";

/** Layout of a printed table. */
export interface TableLayout {
  /** Terminal width in columns; null for no limit, as in a file or a pipe. */
  width: number | null;
  /** Prints one line per value instead of one line per row. */
  is_vertical: boolean;
}

/** Minimum width of a shortened text cell. */
const MIN_TEXT_WIDTH = 8;
const GAP = "  ";
/** Maximum lines of a boxed cell: a box around more takes minutes to draw. */
const MAX_BOXED_LINES = 1_000;
const DATED = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?Z)$/;
const FULL_SECONDS = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d+Z$/;

/** The width of standard output: COLUMNS where set, else the terminal's, else null. */
export function outputWidth(
  stream: { isTTY?: boolean; columns?: number } = process.stdout,
  env: NodeJS.ProcessEnv = process.env,
): number | null {
  const set = Number(env["COLUMNS"]);
  if (Number.isInteger(set) && set > 0) return set;
  return stream.isTTY === true ? (stream.columns ?? 80) : null;
}

/**
 * Formats a table for a terminal: numbers right, text left, units in headers. If it is too wide, it wraps headers,
 * shortens times, omits the box, and finally cuts the longest texts with "…"; it never cuts numbers. A table that still
 * does not fit is printed vertically.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | null)[])[],
  layout: Partial<TableLayout> = {},
): string {
  const { width, is_vertical } = { width: outputWidth(), is_vertical: false, ...layout };
  const cells = rows.map((row) => columns.map(({ kind }, index) => formatCell(row[index] ?? null, kind)));
  if (is_vertical) return vertical(columns, cells, null);
  const is_boxed = cells.every((row) =>
    row.every((cell) => cell.split("\n", MAX_BOXED_LINES + 1).length <= MAX_BOXED_LINES),
  );
  const whole: Grid = { headers: columns.map(({ header }) => header), cells, is_boxed };
  if (width === null) return drawn(columns, whole);
  const fitted = fit(columns, whole, width);
  return fitted === null ? vertical(columns, cells, width) : drawn(columns, fitted);
}

interface Grid {
  headers: readonly string[];
  cells: readonly (readonly string[])[];
  is_boxed: boolean;
}

/** Ways to make a table narrower, in order of preference. */
const STEPS: readonly ((grid: Grid, columns: readonly Column[]) => Grid)[] = [
  (grid) => grid,
  wrapHeaders,
  (grid, columns) => wrapHeaders(withTimes(grid, columns, (cell) => cell.replace(FULL_SECONDS, "$1Z"))),
  (grid, columns) => wrapHeaders(shareDates(grid, columns)),
  (grid) => ({ ...grid, is_boxed: false }),
];

/** Null if no text remains to shorten. */
function fit(columns: readonly Column[], whole: Grid, width: number): Grid | null {
  let grid = whole;
  for (const step of STEPS) {
    grid = step(grid, columns);
    if (widthOf(grid) <= width) return grid;
  }
  const limits = grid.headers.map((_, index) => columnWidth(grid, index));
  for (let excess = widthOf(grid) - width; excess > 0; excess -= 1) {
    const longest = limits.reduce(
      (best, limit, index) => (columns[index]?.kind === "text" && limit > (limits[best] ?? 0) ? index : best),
      -1,
    );
    const limit = limits[longest] ?? 0;
    if (limit <= MIN_TEXT_WIDTH) return null;
    limits[longest] = limit - 1;
  }
  const cut = (text: string, index: number): string =>
    columns[index]?.kind === "text" ? elide(text, limits[index] ?? 0) : text;
  return {
    ...grid,
    headers: grid.headers.map((header, index) => cut(wrapWords(header, limits[index] ?? 0), index)),
    cells: grid.cells.map((row) => row.map(cut)),
  };
}

/** Wraps headers to the width of their values or of their longest word. */
function wrapHeaders(grid: Grid): Grid {
  return {
    ...grid,
    headers: grid.headers.map((header, index) =>
      wrapWords(header, widest(grid.cells.map((row) => displayWidth(row[index] ?? "")))),
    ),
  };
}

function withTimes(grid: Grid, columns: readonly Column[], change: (cell: string) => string): Grid {
  return {
    ...grid,
    cells: grid.cells.map((row) => row.map((cell, index) => (columns[index]?.kind === "time" ? change(cell) : cell))),
  };
}

/** Moves the date into the header if all times of a column are of one day. */
function shareDates(grid: Grid, columns: readonly Column[]): Grid {
  const dates = columns.map(({ kind }, index) => {
    const found = new Set(
      grid.cells
        .map((row) => row[index] ?? MISSING)
        .filter((cell) => cell !== MISSING)
        .map((cell) => DATED.exec(cell)?.[1] ?? ""),
    );
    const [date] = found;
    return kind === "time" && found.size === 1 && date ? date : null;
  });
  const cells = grid.cells.map((row) =>
    row.map((cell, index) => (dates[index] === null ? cell : cell.replace(DATED, "$2"))),
  );
  return {
    ...grid,
    headers: grid.headers.map((header, index) => (dates[index] ? `${header}\n${dates[index]}` : header)),
    cells,
  };
}

function columnWidth({ headers, cells }: Grid, index: number): number {
  return widest(
    [headers[index] ?? "", ...cells.map((row) => row[index] ?? "")].flatMap((text) =>
      text.split("\n").map(displayWidth),
    ),
  );
}

/** The maximum; Math.max(...widths) fails above some 100,000 arguments. */
function widest(widths: readonly number[]): number {
  return widths.reduce((most, width) => Math.max(most, width), 0);
}

/** Table width: a box adds a space and a line on both sides of each column; otherwise a gap separates columns. */
function widthOf(grid: Grid): number {
  const widths = grid.headers.map((_, index) => columnWidth(grid, index));
  const sum = widths.reduce((total, width) => total + width, 0);
  return grid.is_boxed ? sum + 3 * widths.length + 1 : sum + GAP.length * (widths.length - 1);
}

function drawn(columns: readonly Column[], grid: Grid): string {
  return grid.is_boxed ? boxed(columns, grid) : plain(columns, grid);
}

function boxed(columns: readonly Column[], { headers, cells }: Grid): string {
  const table = new Table({
    head: [...headers],
    colAligns: columns.map(({ kind }) => (isText(kind) ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  table.push(...cells.map((row) => [...row]));
  return table.toString();
}

function plain(columns: readonly Column[], grid: Grid): string {
  const widths = grid.headers.map((_, index) => columnWidth(grid, index));
  const pad = (text: string, index: number): string => {
    const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(text)));
    return isText(columns[index]?.kind) ? text + space : space + text;
  };
  const lines = (row: readonly string[]): string[] => {
    const parts = row.map((cell) => cell.split("\n"));
    const height = Math.max(...parts.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) =>
      parts
        .map((part, index) => pad(part[line] ?? "", index))
        .join(GAP)
        .trimEnd(),
    );
  };
  return [
    ...lines(grid.headers),
    widths.map((width) => "─".repeat(width)).join(GAP),
    ...grid.cells.flatMap(lines),
  ].join("\n");
}

function vertical(columns: readonly Column[], cells: readonly (readonly string[])[], width: number | null): string {
  const names = columns.map(({ header }) => header);
  const name_width = Math.max(0, ...names.map(displayWidth));
  const pad = (name: string): string => name + " ".repeat(name_width - displayWidth(name));
  const value = (text: string): string =>
    width === null ? text : elide(text, Math.max(MIN_TEXT_WIDTH, width - name_width - GAP.length));
  return cells
    .map((row, index) =>
      [
        `── ${index + 1} ──`,
        ...row.map((cell, at) => `${pad(names[at] ?? "")}${GAP}${columns[at]?.kind === "text" ? value(cell) : cell}`),
      ].join("\n"),
    )
    .join("\n");
}

/** CSV by RFC 4180, with one header line. Null is an empty field; an empty text is "". */
export function formatCsv(headers: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const cell = (value: string | null): string =>
    value === null ? "" : value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  return [headers, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
