import type { Field, Long } from "../iceberg/model.ts";
import { canonicalLong } from "../iceberg/long.ts";
import { encodeBound, lowerStringBound, upperStringBound, type SingleValue } from "../iceberg/bounds.ts";
import type { DataFile } from "../iceberg/manifest-model.ts";

/** What DuckDB's `COPY ... RETURN_STATS` says of one column, as text. */
export type ReturnedStats = ReadonlyMap<string, string>;

type ColumnMetrics = Pick<
  DataFile,
  "column_sizes" | "value_counts" | "null_value_counts" | "nan_value_counts" | "lower_bounds" | "upper_bounds"
>;

const MICROS_PER_SECOND = 1_000_000n;
const MS_PER_DAY = 86_400_000;

/** Iceberg's column metrics of a file; columns in `unbounded` get counts and no bounds, as nobody filters by them. Pure. */
export function columnMetrics(
  columns: readonly Field[],
  returned: ReadonlyMap<string, ReturnedStats>,
  unbounded: ReadonlySet<string>,
): ColumnMetrics {
  const column_sizes = new Map<number, Long>();
  const value_counts = new Map<number, Long>();
  const null_value_counts = new Map<number, Long>();
  const lower_bounds = new Map<number, Uint8Array>();
  const upper_bounds = new Map<number, Uint8Array>();
  for (const { id, name, type } of columns) {
    const stats = returned.get(name);
    if (stats === undefined || typeof type !== "string") continue;
    put(column_sizes, id, longOf(stats.get("column_size_bytes")));
    put(value_counts, id, longOf(stats.get("num_values")));
    put(null_value_counts, id, longOf(stats.get("null_count")));
    // Bounds leave out NaN, which DuckDB counts as the largest value: it would pass over a file whose NaNs are asked for.
    if (unbounded.has(name) || stats.get("has_nan") === "true") continue;
    put(lower_bounds, id, boundOf(type, stats.get("min"), lowerStringBound));
    put(upper_bounds, id, boundOf(type, stats.get("max"), upperStringBound));
  }
  return { column_sizes, value_counts, null_value_counts, nan_value_counts: null, lower_bounds, upper_bounds };
}

function put<T>(map: Map<number, T>, id: number, value: T | null): void {
  if (value !== null) map.set(id, value);
}

function longOf(text: string | undefined): Long | null {
  return text !== undefined && /^-?\d+$/.test(text) ? canonicalLong(BigInt(text)) : null;
}

function boundOf(
  type: string,
  text: string | undefined,
  truncate: (value: string) => string | null,
): Uint8Array | null {
  if (text === undefined) return null;
  const value = type === "string" ? truncate(text) : parseStatistic(type, text);
  return value === null ? null : encodeBound(type, value);
}

/** DuckDB prints values as its casts to text do; null for what is not understood, and the bound is left out. */
export function parseStatistic(type: string, text: string): SingleValue | null {
  const decimal = /^decimal\(\d+,\s*(\d+)\)$/.exec(type);
  if (decimal !== null) return unscaledOf(text, Number(decimal[1]));
  switch (type) {
    case "boolean":
      return text === "0" || text === "1" ? text === "1" : null;
    case "float":
    case "double":
      // Infinity and NaN bound nothing.
      return /^-?\d/.test(text) ? Number(text) : null;
    case "int":
    case "long":
      return longOf(text);
    case "date": {
      const at_ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : NaN;
      return Number.isNaN(at_ms) ? null : at_ms / MS_PER_DAY;
    }
    case "timestamptz": {
      const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/.exec(text);
      if (match === null) return null;
      const seconds = BigInt(Date.parse(`${match[1]}T${match[2]}Z`) / 1000);
      return canonicalLong(seconds * MICROS_PER_SECOND + BigInt((match[3] ?? "").padEnd(6, "0")));
    }
    default:
      return null;
  }
}

/** `-1.50` at scale 3 is -1500; null where the text has more decimal places, or is no number. */
function unscaledOf(text: string, scale: number): Long | null {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  const [, sign = "", whole = "", fraction = ""] = match ?? [];
  if (match === null || fraction.length > scale) return null;
  return canonicalLong(BigInt(`${sign}${whole}${fraction.padEnd(scale, "0")}`));
}
