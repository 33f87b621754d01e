import { badRequest } from "../errors.ts";
import type { Column } from "./schema.ts";

const DATES = ["date", "timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns"];
const TIMES = DATES.slice(1);

/** Spec, "Partition Transforms": the source types of each transform; `null` for any primitive. */
const SOURCES: readonly { pattern: RegExp; types: RegExp | null }[] = [
  { pattern: /^identity$/, types: /^(?!variant|unknown|geometry|geography)/ },
  { pattern: /^(year|month|day)$/, types: new RegExp(`^(${DATES.join("|")})$`) },
  { pattern: /^hour$/, types: new RegExp(`^(${TIMES.join("|")})$`) },
  {
    pattern: /^bucket\[[1-9]\d*\]$/,
    types: new RegExp(`^(int|long|decimal.*|string|uuid|fixed.*|binary|time|${DATES.join("|")})$`),
  },
  { pattern: /^truncate\[[1-9]\d*\]$/, types: /^(int|long|decimal.*|string|binary)$/ },
  { pattern: /^void$/, types: null },
];

/** Throws INVALID_REQUEST unless `transform` exists and supports the column's type. */
export function checkTransform(transform: string, column: Column): void {
  const known = SOURCES.find(({ pattern }) => pattern.test(transform));
  if (known === undefined) throw badRequest(`Unknown transform: ${transform}`);
  if (known.types === null) return;
  if (typeof column.type !== "string")
    throw badRequest(`Cannot transform ${column.path} by ${transform}: it is not primitive`);
  if (column.is_repeated)
    throw badRequest(`Cannot transform ${column.path} by ${transform}: it is inside a list or map`);
  if (!known.types.test(column.type))
    throw badRequest(`Invalid source type ${column.type} for transform: ${transform}`);
}
