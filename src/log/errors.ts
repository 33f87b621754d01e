import { OperatingError } from "../base/errors.ts";

/** Errors that every log can throw. */

export function noSuchTopic(topic: string): OperatingError {
  return new OperatingError("TOPIC_NOT_FOUND", `The log has no topic ${topic}`, {
    next_step: "Create the topic first, or check its spelling.",
  });
}

export function noSuchPartition(topic: string, partition: number): OperatingError {
  return new OperatingError("PARTITION_NOT_FOUND", `Topic ${topic} has no partition ${partition}`, {
    next_step: "Ask for one of the partitions that the topic was created with.",
  });
}

export function partitionsDiffer(topic: string, present: number, asked: number): OperatingError {
  return new OperatingError(
    "TOPIC_PARTITIONS_DIFFER",
    `Topic ${topic} has ${present} partitions, not ${asked}: keys would change places`,
    {
      next_step: `Declare ${present} partitions, or choose another topic.`,
    },
  );
}

export function offsetPruned(topic: string, partition: number, offset: number, begin: number): OperatingError {
  return new OperatingError("OFFSET_PRUNED", `${topic}/${partition} begins at offset ${begin}; ${offset} was pruned`, {
    next_step: "Read from the first offset that is kept; older records are in the bronze table.",
  });
}

export function recordTooLarge(size_bytes: number, limit_bytes: number): OperatingError {
  return new OperatingError(
    "RECORD_TOO_LARGE",
    `A record of ${size_bytes} bytes is above the log's limit of ${limit_bytes}`,
    {
      next_step: "Have the source send smaller messages.",
    },
  );
}
