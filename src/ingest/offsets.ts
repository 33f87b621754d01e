import {
  LOG_OFFSETS_PROPERTY,
  offsetsMalformed,
  consumedOffsets,
  type OffsetFields,
} from "../iceberg/metadata/log-offsets.ts";
import { OperatingError } from "../base/errors.ts";
import type { PartitionBounds } from "../log/log.ts";

export { LOG_OFFSETS_PROPERTY, consumedOffsets, type OffsetFields };

/** Next offset by partition. */
export type Offsets = ReadonlyMap<number, number>;

/** Throws INVALID_OFFSETS. */
export function readOffsets(table: OffsetFields, topic: string): Map<number, number> {
  const offsets = new Map<number, number>();
  for (const [name, next] of Object.entries(consumedOffsets(table))) {
    const slash = name.lastIndexOf("/");
    const partition = Number(name.slice(slash + 1));
    if (!Number.isSafeInteger(next) || !Number.isInteger(partition))
      throw offsetsMalformed(table.properties[LOG_OFFSETS_PROPERTY]);
    if (name.slice(0, slash) === topic) offsets.set(partition, next);
  }
  return offsets;
}

/** The property's next value: other topics keep theirs. */
export function writeOffsets(table: OffsetFields, topic: string, offsets: Offsets): string {
  const own = Object.fromEntries(Array.from(offsets, ([partition, next]) => [`${topic}/${partition}`, next]));
  return JSON.stringify({ ...consumedOffsets(table), ...own });
}

export function isSameOffsets(a: Offsets, b: Offsets): boolean {
  return a.size === b.size && [...a].every(([partition, next]) => b.get(partition) === next);
}

export function pendingRecords(offsets: Offsets, bounds: readonly PartitionBounds[]): number {
  return bounds.reduce(
    (pending, { partition, begin, end }) => pending + Math.max(0, end - (offsets.get(partition) ?? begin)),
    0,
  );
}

/**
 * Where each partition goes on. A table that has nothing of a partition begins where the log does. Throws LOG_GAP where the
 * log no longer has what comes next, and LOG_BEHIND where it ends before what the table has: the copy could not be gapless.
 */
export function startingOffsets(
  committed: Offsets,
  bounds: readonly PartitionBounds[],
  topic: string,
): Map<number, number> {
  return new Map(
    bounds.map(({ partition, begin, end }) => {
      const next = committed.get(partition) ?? begin;
      if (next < begin)
        throw gap(`${topic}/${partition} begins at offset ${begin}, but bronze has records up to ${next} only`);
      if (next > end) throw behind(`${topic}/${partition} ends at offset ${end}, but bronze has records up to ${next}`);
      return [partition, next];
    }),
  );
}

function gap(message: string): OperatingError {
  return new OperatingError("LOG_GAP", message, {
    next_step:
      "Run `npm run -s coinlake -- repair`: it looks for the records in newer metadata and data files of the warehouse, and with " +
      "--from DIR in a backup. Only what is nowhere has to be accepted as lost, with --accept-loss.",
  });
}

function behind(message: string): OperatingError {
  return new OperatingError("LOG_BEHIND", message, {
    next_step:
      "Use the log that belongs to this lake; an older copy of its file would give offsets out twice. Where the log is lost, " +
      "`npm run -s coinlake -- repair` says what is gone with it, and makes another that goes on after bronze.",
  });
}
