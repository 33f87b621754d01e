import { randomUUID } from "node:crypto";
import { addLongs } from "./long.ts";
import type { LoadedTable, Long, PartitionSpec, Schema } from "./model.ts";
import type { Clock } from "../base/clock.ts";
import type { Storage } from "../storage/storage.ts";
import { encodeManifest } from "./manifest.ts";
import { encodeManifestList } from "./manifest-list.ts";
import { MANIFEST_CONTENT, STATUS, type DataFile, type ManifestEntry, type ManifestFile } from "./manifest-model.ts";
import { everyColumn, specOf, type ReadManifest } from "./snapshot-files.ts";
import {
  changeOf,
  currentSnapshot,
  describeManifest,
  newSnapshotId,
  snapshotOn,
  writeAll,
  writingKind,
  type StagedSnapshot,
} from "./stage.ts";
import { replaceSummary } from "./summary.ts";

/** Files with the same rows as the files that they replace. */
export interface Replacement {
  added: readonly { file: DataFile; spec_id: number }[];
  /** Locations of data files and of position delete files, as in manifests. */
  removed: ReadonlySet<string>;
  /**
   * Sequence number of the snapshot whose rows were read, for the added files (spec, "Sequence Numbers"). Equality
   * deletes committed since then still apply to them.
   */
  sequence_number: Long;
  /** Entries of the snapshot's summary, besides counts and totals. */
  summary?: Readonly<Record<string, string>>;
}

export interface StagingParts {
  storage: Storage;
  clock: Clock;
  /**
   * Receives the locations of the metadata files before the first is written, so that files of a killed process are
   * known.
   */
  announce?(locations: readonly string[]): void;
}

/**
 * Manifests with fewer entries are merged into the manifest that is written anyway, because every reader opens each
 * file.
 */
const SMALL_MANIFEST_ENTRIES = 100;
/** Readers load a manifest whole; entries above this limit go into another manifest. */
const MAX_MANIFEST_ENTRIES = 4_000;

/**
 * Stages a snapshot with the operation `replace` on the table's current one, whose manifests are `manifests`: the rows
 * stay the same, the files change. Removed files are listed as deleted in this snapshot only, as the specification
 * requires. Throws UNSUPPORTED_FORMAT and the errors of the storage; then no file remains.
 */
export async function stageReplacement(
  { storage, clock, announce }: StagingParts,
  table: LoadedTable,
  manifests: readonly ReadManifest[],
  replacement: Replacement,
): Promise<StagedSnapshot> {
  const { metadata } = table;
  writingKind(metadata);
  const parent = currentSnapshot(metadata);
  const snapshot_id = newSnapshotId(metadata);
  const sequence_number = addLongs(metadata["last-sequence-number"], 1);
  const files: [location: string, bytes: Uint8Array][] = [];
  const kept: ManifestFile[] = [];
  const written: ManifestFile[] = [];

  for (const group of groupsOf(manifests, replacement)) {
    const rewritten = group.manifests.filter(
      ({ manifest, entries }) => isSmallManifest(manifest) || entries.some((entry) => isRemoved(entry, replacement)),
    );
    const is_worth_it =
      group.added.length > 0 ||
      rewritten.length > 1 ||
      rewritten.some(({ entries }) => entries.some((entry) => isRemoved(entry, replacement)));
    kept.push(
      ...group.manifests.filter((read) => !is_worth_it || !rewritten.includes(read)).map(({ manifest }) => manifest),
    );
    if (!is_worth_it) continue;
    const entries = [
      ...group.added.map((file) => addedEntry(file, snapshot_id, replacement)),
      ...rewritten.flatMap((read) => carriedEntries(read, snapshot_id, replacement)),
    ];
    const spec = specOf(metadata, group.spec_id);
    const schema = schemaFor(spec, table);
    for (let start = 0; start < entries.length; start += MAX_MANIFEST_ENTRIES) {
      const some = entries.slice(start, start + MAX_MANIFEST_ENTRIES);
      const path = `${metadata.location}/metadata/${randomUUID()}-m0.avro`;
      const bytes = encodeManifest({ schema, spec, content: group.content }, some);
      files.push([path, bytes]);
      written.push(
        describeManifest({
          path,
          length: bytes.length,
          content: group.content,
          entries: some,
          spec,
          schema,
          snapshot_id,
          sequence_number,
        }),
      );
    }
  }

  const location = `${metadata.location}/metadata/snap-${snapshot_id}-1-${randomUUID()}.avro`;
  const counts = replaceSummary(parent, {
    added: replacement.added.map(({ file }) => file),
    removed: removedFiles(manifests, replacement),
  });
  const summary = { ...counts, ...replacement.summary };
  const snapshot = snapshotOn(metadata, { snapshot_id, sequence_number, manifest_list: location, summary, clock });
  files.push([location, encodeManifestList(snapshot, [...written, ...kept])]);
  const locations = files.map(([path]) => path);
  announce?.(locations);
  await writeAll(storage, metadata.location, files);
  return { snapshot_id, change: changeOf(table, parent, snapshot, {}), written: locations };
}

/** The current schema; with the columns of older ones if the spec partitions by a dropped column. */
function schemaFor(spec: PartitionSpec, { metadata }: LoadedTable): Schema {
  const { schema } = writingKind(metadata);
  const has = (id: number): boolean => schema.fields.some((field) => field.id === id);
  return spec.fields.every((field) => has(field["source-id"]))
    ? schema
    : { ...everyColumn(metadata), "schema-id": metadata["current-schema-id"] };
}

interface Group {
  spec_id: number;
  content: number;
  manifests: ReadManifest[];
  added: DataFile[];
}

/** Groups by spec and content, because a manifest has one of each. */
function groupsOf(manifests: readonly ReadManifest[], { added }: Replacement): Group[] {
  const groups = new Map<string, Group>();
  const groupOf = (spec_id: number, content: number): Group => {
    const key = `${spec_id}/${content}`;
    const group = groups.get(key) ?? { spec_id, content, manifests: [], added: [] };
    groups.set(key, group);
    return group;
  };
  for (const read of manifests) groupOf(read.manifest.partition_spec_id, read.manifest.content).manifests.push(read);
  for (const { file, spec_id } of added) groupOf(spec_id, MANIFEST_CONTENT.data).added.push(file);
  return [...groups.values()];
}

/** Whether the next replacement merges it with other manifests of its spec and content. */
export function isSmallManifest(manifest: ManifestFile): boolean {
  return manifest.added_files_count + manifest.existing_files_count < SMALL_MANIFEST_ENTRIES;
}

function isRemoved({ status, data_file }: ManifestEntry, { removed }: Replacement): boolean {
  return status !== STATUS.deleted && removed.has(data_file.file_path);
}

function addedEntry(data_file: DataFile, snapshot_id: Long, { sequence_number }: Replacement): ManifestEntry {
  return { status: STATUS.added, snapshot_id, sequence_number, file_sequence_number: null, data_file };
}

/** The entries of a manifest in the merged one; omits files that an earlier snapshot deleted. */
function carriedEntries({ entries }: ReadManifest, snapshot_id: Long, replacement: Replacement): ManifestEntry[] {
  return entries
    .filter(({ status }) => status !== STATUS.deleted)
    .map((entry) =>
      isRemoved(entry, replacement)
        ? { ...entry, status: STATUS.deleted, snapshot_id }
        : { ...entry, status: STATUS.existing },
    )
    .map((entry) => ({ ...entry, data_file: withColumnSizes(entry.data_file) }));
}

/** Empty sizes instead of absent ones, because PyIceberg's `inspect.entries()` fails if they are absent. */
function withColumnSizes(data_file: DataFile): DataFile {
  return { ...data_file, column_sizes: data_file.column_sizes ?? new Map() };
}

function removedFiles(manifests: readonly ReadManifest[], replacement: Replacement): DataFile[] {
  return manifests.flatMap(({ entries }) =>
    entries.filter((entry) => isRemoved(entry, replacement)).map(({ data_file }) => data_file),
  );
}
