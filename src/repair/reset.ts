import { randomUUID } from "node:crypto";
import { addLongs } from "../iceberg/long.ts";
import type { LoadedTable, Long, TableChange } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import { encodeManifestList } from "../iceberg/manifest-list.ts";
import { changeOf, currentSnapshot, newSnapshotId, snapshotOn, writeAll, writingKind } from "../iceberg/stage.ts";
import { LOG_OFFSETS_PROPERTY } from "../iceberg/metadata/log-offsets.ts";
import type { Storage } from "../storage/storage.ts";
import { formatOffsets, maxOffsets } from "../log/offsets.ts";
import { REBUILT_UP_TO_PROPERTY, rebuiltUpTo } from "../transform/rebuilding.ts";
import { consumedOffsetsOrNone } from "./bronze-plan.ts";
import { SEED_PROPERTY } from "./catalog-plan.ts";

/**
 * Stages a commit that empties a table by metadata alone; no existing file is read. The consumed offsets restart at
 * zero, so that the models rebuild the table from bronze, increment by increment. A seed loses its checksum, so that
 * its file is loaded again. Earlier snapshots stay readable, except `unreadable`, which are removed. `partitions` are
 * the log's partitions, named as in the consumed offsets.
 */
export async function stageReset(
  { storage, clock }: { storage: Storage; clock: Clock },
  { identifier, metadata_location, metadata }: LoadedTable,
  { unreadable, partitions, is_seed }: { unreadable: readonly Long[]; partitions: readonly string[]; is_seed: boolean },
): Promise<TableChange> {
  writingKind(metadata);
  const snapshot_id = newSnapshotId(metadata);
  const location = `${metadata.location}/metadata/snap-${snapshot_id}-1-${randomUUID()}.avro`;
  const offsets = formatOffsets(Object.fromEntries(partitions.map((partition) => [partition, 0])));
  const follows_log = !is_seed;
  const snapshot = snapshotOn(metadata, {
    snapshot_id,
    sequence_number: addLongs(metadata["last-sequence-number"], 1),
    manifest_list: location,
    summary: { ...EMPTY, ...(follows_log && { [LOG_OFFSETS_PROPERTY]: offsets }) },
    clock,
  });
  await writeAll(storage, metadata.location, [[location, encodeManifestList(snapshot, [])]]);
  const properties: Record<string, string> = follows_log
    ? {
        [LOG_OFFSETS_PROPERTY]: offsets,
        [REBUILT_UP_TO_PROPERTY]: formatOffsets(maxOffsets(rebuiltUpTo(metadata), consumedOffsetsOrNone(metadata))),
      }
    : {};
  const change = changeOf({ identifier, metadata_location, metadata }, currentSnapshot(metadata), snapshot, properties);
  return {
    ...change,
    updates: [
      ...change.updates,
      ...(metadata.properties[SEED_PROPERTY] === undefined
        ? []
        : [{ action: "remove-properties", removals: [SEED_PROPERTY] }]),
      ...removal(unreadable),
    ],
  };
}

/** Empty where there is nothing to remove. */
export function removal(snapshot_ids: readonly Long[]): { action: string; "snapshot-ids": Long[] }[] {
  return snapshot_ids.length === 0 ? [] : [{ action: "remove-snapshots", "snapshot-ids": [...snapshot_ids] }];
}

const EMPTY = {
  operation: "delete",
  "engine-name": "coinlake",
  "total-records": "0",
  "total-files-size": "0",
  "total-data-files": "0",
  "total-delete-files": "0",
  "total-position-deletes": "0",
  "total-equality-deletes": "0",
};
