import type { Field, Long } from "../iceberg/model.ts";
import { canonicalLong } from "../iceberg/long.ts";
import { encodeBound, lowerStringBound, upperStringBound, type SingleValue } from "../iceberg/bounds.ts";
import type { DataFile } from "../iceberg/manifest-model.ts";

/** DuckDB's statistics of one column from `COPY ... RETURN_STATS`, as text. */
export type ReturnedStats = ReadonlyMap<string, string>;

type ColumnMetrics = Pick<
  DataFile,
  "column_sizes" | "value_counts" | "null_value_counts" | "nan_value_counts" | "lower_bounds" | "upper_bounds"
>;

const MICROS_PER_SECOND = 1_000_000n;
const MS_PER_DAY = 86_400_000;

/**
 * Iceberg's column metrics of a file. Columns in `unbounded` get counts but no bounds, because no query filters by
 * them. Pure.
 */
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
    // Bounds exclude NaN, but DuckDB treats it as the largest value: it would skip a file when a query selects its
    // NaNs.
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

/** Parses DuckDB's text form, which equals its cast to text; null for an unknown form, whose bound is omitted. */
export function parseStatistic(type: string, text: string): SingleValue | null {
  const decimal = /^decimal\(\d+,\s*(\d+)\)$/.exec(type);
  if (decimal !== null) return unscaledOf(text, Number(decimal[1]));
  switch (type) {
    case "boolean":
      return text === "0" || text === "1" ? text === "1" : null;
    case "float":
    case "double":
      // Infinity and NaN are no bounds.
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

/** `-1.50` at scale 3 is -1500; null where the text has more decimals, or is no number. */
function unscaledOf(text: string, scale: number): Long | null {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  const [, sign = "", whole = "", fraction = ""] = match ?? [];
  if (match === null || fraction.length > scale) return null;
  return canonicalLong(BigInt(`${sign}${whole}${fraction.padEnd(scale, "0")}`));
}
