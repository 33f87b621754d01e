import type { TableCatalog } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import type { PartitionBounds } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { partitionKey, type LogOffsets } from "../log/offsets.ts";
import { logOffsets } from "./offsets.ts";

/**
 * Throws RECORDS_LOST where the log has pruned records that bronze does not hold, although silver or a reader
 * (`consumed`) has offsets in the partition: bronze was lost. A new lake on a log that begins late has lost nothing.
 */
export async function throwIfRecordsLost(
  catalog: TableCatalog,
  { topic, bronze, reconciliation }: Pick<Pipeline, "topic" | "bronze" | "reconciliation">,
  bounds: readonly PartitionBounds[],
  consumed: LogOffsets,
): Promise<void> {
  if (bounds.every(({ begin }) => begin === 0)) return;
  const [held, accepted] = [
    await logOffsets(catalog, bronze.table),
    await logOffsets(catalog, reconciliation.accepted),
  ];
  for (const { partition, begin } of bounds) {
    const name = partitionKey(topic.name, partition);
    const first = held[name] ?? 0;
    if (first >= begin || Math.max(accepted[name] ?? 0, consumed[name] ?? 0) === 0) continue;
    throw new OperatingError(
      "RECORDS_LOST",
      `Records ${first} to ${begin - 1} of ${name} are gone: ` +
        `the log has pruned them, and ${bronze.table} does not hold them`,
      {
        next_step:
          "Run `npm run -s coinlake -- repair`: it brings bronze back from a backup, " +
          "the archive or older metadata files.",
      },
    );
  }
}
