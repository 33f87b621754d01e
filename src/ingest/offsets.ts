import { OperatingError } from "../base/errors.ts";
import {
  LOG_OFFSETS_PROPERTY,
  consumedOffsets,
  offsetsMalformed,
  type OffsetFields,
} from "../iceberg/metadata/log-offsets.ts";
import type { PartitionBounds } from "../log/log.ts";
import {
  formatOffsets,
  parsePartitionKey,
  withOffsetsOfTopic,
  offsetsOfTopic,
  type PartitionOffsets,
} from "../log/offsets.ts";

/** The offsets of one topic that a table has consumed. Throws INVALID_OFFSETS. */
export function readOffsets(table: OffsetFields, topic: string): Map<number, number> {
  const consumed = consumedOffsets(table);
  for (const [key, next] of Object.entries(consumed)) {
    if (!Number.isSafeInteger(next) || !Number.isInteger(parsePartitionKey(key).partition))
      throw offsetsMalformed(table.properties[LOG_OFFSETS_PROPERTY]);
  }
  return offsetsOfTopic(consumed, topic);
}

/** The next value of the table property `coinlake.log-offsets`; other topics keep their offsets. */
export function writeOffsets(table: OffsetFields, topic: string, offsets: PartitionOffsets): string {
  return formatOffsets(withOffsetsOfTopic(consumedOffsets(table), topic, offsets));
}

/**
 * The offsets at which the ingest continues. A partition without committed offsets starts where the log starts. Throws
 * LOG_GAP where the log no longer has the next record, and LOG_BEHIND where it ends before the table's offsets: bronze
 * could not be gapless.
 */
export function startingOffsets(
  committed: PartitionOffsets,
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
      "Run `npm run -s coinlake -- repair`: it looks for the records in newer metadata and data files of the " +
      "warehouse, and with --from DIR in a backup. " +
      "Only what is nowhere has to be accepted as lost, with --accept-loss.",
  });
}

function behind(message: string): OperatingError {
  return new OperatingError("LOG_BEHIND", message, {
    next_step:
      "Use the log that belongs to this lake; an older copy of its file would give offsets out twice. " +
      "Where the log is lost, `npm run -s coinlake -- repair` says what is gone with it, " +
      "and makes another that goes on after bronze.",
  });
}
