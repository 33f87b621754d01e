import { randomBytes } from "node:crypto";
import { addLongs, isSameLong } from "./long.ts";
import type { LoadedTable, Long, PartitionSpec, Schema, Snapshot, TableChange, TableMetadata } from "./model.ts";
import { allEnded } from "../base/all-ended.ts";
import type { Clock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { deleteIfPossible } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { summarisePartitions } from "./field-summary.ts";
import { STATUS, type ManifestEntry, type ManifestFile } from "./manifest-model.ts";
import { partitionColumns } from "./transform.ts";

/** Functions shared by the writers of snapshots: append.ts adds files, replace.ts rewrites them. */

const MAIN = "main";

/** A snapshot with durable files, invisible until `change` is committed. */
export interface StagedSnapshot {
  snapshot_id: Long;
  /** Valid only while main has not moved since staging; otherwise stage again with the same data files. */
  change: TableChange;
  /** Metadata files written; the caller deletes them if the commit is known to have failed. */
  written: string[];
}

export interface NewSnapshot {
  snapshot_id: Long;
  sequence_number: Long;
  /** Location of the snapshot's manifest list. */
  manifest_list: string;
  summary: Record<string, string>;
  clock: Clock;
}

/**
 * A snapshot on the table's current one, with its current schema. Its time is not before the table's last change,
 * because readers reject snapshots out of order.
 */
export function snapshotOn(
  metadata: TableMetadata,
  { snapshot_id, sequence_number, manifest_list, summary, clock }: NewSnapshot,
): Snapshot {
  const parent = currentSnapshot(metadata);
  return {
    "snapshot-id": snapshot_id,
    ...(parent === null ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequence_number,
    "timestamp-ms": Math.max(Math.floor(clock.now_us() / 1000), Number(metadata["last-updated-ms"])),
    "manifest-list": manifest_list,
    summary,
    "schema-id": metadata["current-schema-id"],
  };
}

export function changeOf(
  table: LoadedTable,
  parent: Snapshot | null,
  snapshot: Snapshot,
  properties: Readonly<Record<string, string>>,
): TableChange {
  const set_properties =
    Object.keys(properties).length === 0 ? [] : [{ action: "set-properties", updates: properties }];
  return {
    identifier: table.identifier,
    requirements: [
      { type: "assert-table-uuid", uuid: table.metadata["table-uuid"] },
      { type: "assert-ref-snapshot-id", ref: MAIN, "snapshot-id": parent?.["snapshot-id"] ?? null },
    ],
    updates: [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", "ref-name": MAIN, type: "branch", "snapshot-id": snapshot["snapshot-id"] },
      ...set_properties,
    ],
  };
}

export function currentSnapshot(metadata: TableMetadata): Snapshot | null {
  const current_id = metadata.refs[MAIN]?.["snapshot-id"] ?? metadata["current-snapshot-id"];
  return metadata.snapshots.find((snapshot) => isSameLong(snapshot["snapshot-id"], current_id)) ?? null;
}

export function writingKind(metadata: TableMetadata): { spec: PartitionSpec; schema: Schema } {
  const spec = metadata["partition-specs"].find((spec) => spec["spec-id"] === metadata["default-spec-id"]);
  const schema = metadata.schemas.find((schema) => schema["schema-id"] === metadata["current-schema-id"]);
  if (metadata["format-version"] !== 2 || spec === undefined || schema === undefined) {
    throw new OperatingError(
      "UNSUPPORTED_FORMAT",
      `The table has format version ${metadata["format-version"]}; only version 2 is written`,
      {
        next_step: "Create a new table with format version 2.",
      },
    );
  }
  return { spec, schema };
}

/** A random id of 53 bits, of the 63 that the specification allows, so that readers with doubles lose nothing. */
export function newSnapshotId(metadata: TableMetadata): Long {
  for (;;) {
    const id = Number(randomBytes(8).readBigUInt64BE() & BigInt(Number.MAX_SAFE_INTEGER));
    if (id > 0 && !metadata.snapshots.some((snapshot) => isSameLong(snapshot["snapshot-id"], id))) return id;
  }
}

/** The manifest list's entry for a manifest. Pure. */
export function describeManifest(manifest: {
  path: string;
  length: number;
  /** One of MANIFEST_CONTENT. */
  content: number;
  entries: readonly ManifestEntry[];
  spec: PartitionSpec;
  schema: Schema;
  snapshot_id: Long;
  sequence_number: Long;
}): ManifestFile {
  const { entries, sequence_number } = manifest;
  const count = (status: number): number => entries.filter((entry) => entry.status === status).length;
  const rows = (status: number): Long =>
    entries.reduce<Long>(
      (total, entry) => (entry.status === status ? addLongs(total, entry.data_file.record_count) : total),
      0,
    );
  const min_sequence_number = entries.reduce<Long>((least, entry) => {
    const own = entry.sequence_number ?? sequence_number;
    return entry.status !== STATUS.deleted && own < least ? own : least;
  }, sequence_number);
  const columns = partitionColumns(manifest.spec, manifest.schema);
  return {
    manifest_path: manifest.path,
    manifest_length: manifest.length,
    partition_spec_id: manifest.spec["spec-id"] ?? 0,
    content: manifest.content,
    sequence_number,
    min_sequence_number,
    added_snapshot_id: manifest.snapshot_id,
    added_files_count: count(STATUS.added),
    existing_files_count: count(STATUS.existing),
    deleted_files_count: count(STATUS.deleted),
    added_rows_count: rows(STATUS.added),
    existing_rows_count: rows(STATUS.existing),
    deleted_rows_count: rows(STATUS.deleted),
    partitions: summarisePartitions(
      columns,
      entries.map(({ data_file }) => data_file.partition),
    ),
    key_metadata: null,
  };
}

/** Writes all files of the folder or none: after an error, deletes those already written. */
export async function writeAll(
  storage: Storage,
  folder: string,
  files: readonly [location: string, bytes: Uint8Array][],
): Promise<void> {
  try {
    await allEnded(files.map(([location, bytes]) => storage.write(location, bytes)));
  } catch (error) {
    await deleteIfPossible(
      storage,
      folder,
      files.map(([location]) => location),
    );
    throw error;
  }
}
