import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { addLongs } from "../../src/iceberg/long.ts";
import { quoteText } from "../../src/duckdb/sql.ts";
import { encodeManifest } from "../../src/iceberg/manifest.ts";
import { decodeManifestList, encodeManifestList } from "../../src/iceberg/manifest-list.ts";
import {
  CONTENT,
  MANIFEST_CONTENT,
  STATUS,
  type DataFile,
  type ManifestEntry,
} from "../../src/iceberg/manifest-model.ts";
import { everyColumn, specOf } from "../../src/iceberg/snapshot-files.ts";
import { changeOf, currentSnapshot, describeManifest, newSnapshotId } from "../../src/iceberg/stage.ts";
import type { Snapshot } from "../../src/iceberg/model.ts";
import { locationOfPath, pathOfLocation } from "../../src/storage/file/location.ts";
import type { MaintainedLake } from "./lake.ts";

/** Commits as another engine may make them: the specification allows them, but DuckDB never makes them. */

const FILE_PATH_COLUMN = 2147483646;
const POSITION_COLUMN = 2147483545;

export interface ForeignDelete {
  rows: readonly (readonly [data_file: string, position: number])[];
  /** Bounds of the column `file_path`: exact, truncated as some engines do, or absent. */
  bounds?: "exact" | "cut off" | "none";
  referenced_data_file?: string;
  content?: number;
  file_format?: string;
}

/** Adds files to the table's current snapshot, or replaces all its files; the snapshot's time is `at_ms`. */
export async function commitFiles(
  lake: MaintainedLake,
  table: string,
  files: readonly { file: DataFile; spec_id?: number }[],
  { at_ms, is_overwrite = false }: { at_ms?: number; is_overwrite?: boolean } = {},
): Promise<Snapshot> {
  const loaded = await lake.load(table);
  const { metadata } = loaded;
  const parent = currentSnapshot(metadata);
  const snapshot_id = newSnapshotId(metadata);
  const sequence_number = addLongs(metadata["last-sequence-number"], 1);
  const manifests =
    parent === null || is_overwrite ? [] : decodeManifestList(await lake.storage.read(parent["manifest-list"]));
  for (const { file, spec_id = metadata["default-spec-id"] } of files) {
    const content = file.content === CONTENT.data ? MANIFEST_CONTENT.data : MANIFEST_CONTENT.deletes;
    const [schema, spec] = [everyColumn(metadata), specOf(metadata, spec_id)];
    const entries: ManifestEntry[] = [
      { status: STATUS.added, snapshot_id, sequence_number: null, file_sequence_number: null, data_file: file },
    ];
    const bytes = encodeManifest({ schema, spec, content }, entries);
    const path = `${metadata.location}/metadata/${randomUUID()}-m0.avro`;
    await lake.storage.write(path, bytes);
    manifests.unshift(
      describeManifest({ path, length: bytes.length, content, entries, spec, schema, snapshot_id, sequence_number }),
    );
  }
  const snapshot: Snapshot = {
    "snapshot-id": snapshot_id,
    ...(parent === null ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequence_number,
    "timestamp-ms": at_ms ?? Math.max(Date.now(), Number(metadata["last-updated-ms"])),
    "manifest-list": `${metadata.location}/metadata/snap-${snapshot_id}-1-${randomUUID()}.avro`,
    summary: { operation: operationOf(files, is_overwrite) },
    "schema-id": metadata["current-schema-id"],
  };
  await lake.storage.write(snapshot["manifest-list"], encodeManifestList(snapshot, manifests));
  await lake.catalog.commit([changeOf(loaded, parent, snapshot, {})]);
  return snapshot;
}

function operationOf(files: readonly { file: DataFile }[], is_overwrite: boolean): string {
  if (is_overwrite) return "overwrite";
  return files.every(({ file }) => file.content === CONTENT.data) ? "append" : "delete";
}

/**
 * Writes a position delete file without committing it. Its rows may refer to several data files, or to one that does
 * not exist.
 */
export async function writeDeletes(lake: MaintainedLake, table: string, deletion: ForeignDelete): Promise<DataFile> {
  const { rows, bounds = "exact" } = deletion;
  const location = `${(await lake.load(table)).metadata.location}/data/${randomUUID()}-deletes.parquet`;
  const values = rows.map(([file, position]) => `(${quoteText(file)}, ${position}::bigint)`).join(", ");
  await lake.sql(`copy (select * from (values ${values}) as deletes(file_path, pos) order by 1, 2)
    to ${quoteText(pathOfLocation(location))}
    (format parquet, field_ids {file_path: ${FILE_PATH_COLUMN}, pos: ${POSITION_COLUMN}})`);
  const names = rows.map(([file]) => file).sort();
  const [lower, upper] = [names[0] ?? "", names.at(-1) ?? ""].map((name) =>
    Buffer.from(bounds === "cut off" ? name.slice(0, 16) : name),
  );
  return {
    ...(await fileAt(location)),
    content: deletion.content ?? CONTENT.position_deletes,
    file_format: deletion.file_format ?? "PARQUET",
    record_count: rows.length,
    lower_bounds: bounds === "none" || lower === undefined ? null : new Map([[FILE_PATH_COLUMN, lower]]),
    upper_bounds: bounds === "none" || upper === undefined ? null : new Map([[FILE_PATH_COLUMN, upper]]),
    equality_ids: deletion.content === CONTENT.equality_deletes ? [1] : null,
    referenced_data_file: deletion.referenced_data_file ?? null,
  };
}

export async function commitDeletes(
  lake: MaintainedLake,
  table: string,
  ...deletions: readonly ForeignDelete[]
): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const deletion of deletions) files.push(await writeDeletes(lake, table, deletion));
  await commitFiles(
    lake,
    table,
    files.map((file) => ({ file })),
  );
  return files;
}

/**
 * Writes a data file from the rows of a query over columns with the given field ids; its path in the metadata is the
 * result of `spell`.
 */
export async function writeData(
  lake: MaintainedLake,
  query: string,
  field_ids: Record<string, number>,
  location: string,
): Promise<DataFile> {
  await lake.storage.makeFolder(location.slice(0, location.lastIndexOf("/")));
  const ids = Object.entries(field_ids).map(([name, id]) => `${name}: ${id}`);
  const named = ids.length === 0 ? "" : `, field_ids {${ids.join(", ")}}`;
  await lake.sql(`copy (${query}) to ${quoteText(pathOfLocation(location))} (format parquet${named})`);
  const [[count] = []] = await lake.sql(
    `select count(*) from read_parquet(${quoteText(pathOfLocation(location))}, hive_partitioning = false)`,
  );
  return { ...(await fileAt(location)), record_count: Number(count) };
}

async function fileAt(location: string): Promise<DataFile> {
  return {
    content: CONTENT.data,
    file_path: location,
    file_format: "PARQUET",
    partition: new Map(),
    record_count: 0,
    file_size_in_bytes: (await stat(pathOfLocation(location))).size,
    column_sizes: null,
    value_counts: null,
    null_value_counts: null,
    nan_value_counts: null,
    lower_bounds: null,
    upper_bounds: null,
    key_metadata: null,
    split_offsets: null,
    equality_ids: null,
    sort_order_id: null,
    referenced_data_file: null,
  };
}

/** A location in the lake's folder, with characters in its name that need escaping. */
export function locationIn(lake: MaintainedLake, ...names: readonly string[]): string {
  return [locationOfPath(lake.folder), ...names].join("/");
}
