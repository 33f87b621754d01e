import { tableNamed } from "../iceberg/errors.ts";
import type { TableCatalog } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { NO_LOG_OFFSETS, parsePartitionKey, type LogOffsets } from "../log/offsets.ts";
import { lostOffsets } from "../ingest/lost-offsets.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";

/**
 * The offsets up to which the models can consume bronze: its consumed offsets without an acknowledged gap at the end,
 * which an increment passes only together with later records.
 */
export async function reachableOffsets(catalog: TableCatalog, bronze: string): Promise<LogOffsets> {
  try {
    const { metadata } = await catalog.loadTable(tableNamed(bronze));
    const offsets = Object.entries(consumedOffsets(metadata)).map(([key, next]): [string, number] => {
      const { topic, partition } = parsePartitionKey(key);
      const lost = lostOffsets(metadata, topic).get(partition)?.at(-1);
      return [key, lost !== undefined && lost[1] >= next ? Math.min(next, lost[0]) : next];
    });
    return Object.fromEntries(offsets);
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "TABLE_NOT_FOUND" || error.code === "NAMESPACE_NOT_FOUND"))
      return NO_LOG_OFFSETS;
    throw error;
  }
}
