import type { TableMetadata } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { NO_OFFSETS, unionOffsets, type OffsetRange, type OffsetRanges } from "./offset-ranges.ts";

/**
 * The offsets of unrecoverable records whose loss a person has acknowledged with `repair --accept-loss`: a JSON object
 * from "<topic>/<partition>" to ranges `[from, to)`. A property of the bronze table, written in the commit that removes
 * the rows. `verify` treats these offsets as an acknowledged gap.
 */
export const LOST_OFFSETS_PROPERTY = "coinlake.lost-offsets";

type WithProperties = Pick<TableMetadata, "properties">;

/** Throws INVALID_OFFSETS. */
export function lostOffsets({ properties }: WithProperties, topic: string): OffsetRanges {
  const ranges: [number, readonly OffsetRange[]][] = [];
  for (const [name, value] of Object.entries(parse(properties[LOST_OFFSETS_PROPERTY]))) {
    const slash = name.lastIndexOf("/");
    if (name.slice(0, slash) === topic) ranges.push([Number(name.slice(slash + 1)), value]);
  }
  return unionOffsets(new Map(ranges), NO_OFFSETS);
}

/** The property's next value; entries of other topics stay. */
export function writeLostOffsets(table: WithProperties, topic: string, added: OffsetRanges): string {
  const own = unionOffsets(lostOffsets(table, topic), added);
  const named = Object.fromEntries(Array.from(own, ([partition, ranges]) => [`${topic}/${partition}`, ranges]));
  return JSON.stringify({ ...parse(table.properties[LOST_OFFSETS_PROPERTY]), ...named });
}

/**
 * SQL condition: the row's record has one of these offsets. The columns are those of bronze and of silver's verdict
 * tables.
 */
export function conditionOn(topic: string, ranges: OffsetRanges): string {
  const conditions = [...ranges].flatMap(([partition, some]) =>
    some.map(([from, to]) => `(log_partition = ${partition} and log_offset >= ${from} and log_offset < ${to})`),
  );
  return conditions.length === 0
    ? "false"
    : `(log_topic = '${topic.replaceAll("'", "''")}' and (${conditions.join(" or ")}))`;
}

function parse(text: string | undefined): Record<string, OffsetRange[]> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    if (typeof value === "object" && value !== null && Object.values(value).every(areRanges))
      return value as Record<string, OffsetRange[]>;
  } catch {
    // The error below reports it, like JSON of another shape.
  }
  throw new OperatingError("INVALID_OFFSETS", `The table property ${LOST_OFFSETS_PROPERTY} is ${text}`, {
    next_step: 'Set it to {"<topic>/<partition>": [[<first offset>, <offset after the last>]]}, or remove it.',
  });
}

function areRanges(value: unknown): boolean {
  const isRange = (range: unknown): boolean =>
    Array.isArray(range) &&
    range.length === 2 &&
    range.every(Number.isSafeInteger) &&
    Number(range[0]) < Number(range[1]);
  return Array.isArray(value) && value.every(isRange);
}
