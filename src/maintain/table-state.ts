import type { LoadedTable, Snapshot } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import { CONTENT, MANIFEST_CONTENT, STATUS, type ManifestEntry } from "../iceberg/manifest-model.ts";
import { liveEntriesOf, readManifests, type ReadManifest } from "../iceberg/snapshot-files.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";
import type { TableFigures } from "./parts.ts";
import { isNoOlder, namedFile, type StoredDelete, type StoredFile } from "./plan.ts";
import { windowsOf } from "./window.ts";

/** A table at its current snapshot, file by file. */
export interface TableState {
  table: LoadedTable;
  snapshot: Snapshot;
  manifests: ReadManifest[];
  files: StoredFile[];
  deletes: StoredDelete[];
}

/** Data files that a position delete file names, read from its content if its entry does not name them. */
export type ReadNames = (delete_file: string) => Promise<string[]>;

/** Null for a table without a snapshot. Throws UNSUPPORTED_DELETES, UNSUPPORTED_FILE, and the storage's errors. */
export async function readState(
  storage: Storage,
  table: LoadedTable,
  readNames: ReadNames,
): Promise<TableState | null> {
  const snapshot = currentSnapshot(table.metadata);
  if (snapshot === null) return null;
  const manifests = await readManifests(storage, table.metadata, snapshot);
  const foreign = liveEntriesOf(manifests, MANIFEST_CONTENT.data).find(
    ({ data_file }) => data_file.file_format !== "PARQUET",
  );
  if (foreign !== undefined) throw unsupportedFile(table, foreign);
  const deletes = await readDeletes(table, manifests, readNames);
  const by_name = deletesByName(deletes);
  const windowOfFile = windowsOf(table.metadata);
  const files = manifests
    .filter(({ manifest }) => manifest.content === MANIFEST_CONTENT.data)
    .flatMap(({ manifest, entries }) =>
      entries.filter(isLive).map((entry) => storedFile(entry, manifest.partition_spec_id, { by_name, windowOfFile })),
    );
  return { table, snapshot, manifests, files: files.sort(bySequence), deletes };
}

export function isLive({ status }: ManifestEntry): boolean {
  return status !== STATUS.deleted;
}

async function readDeletes(
  table: LoadedTable,
  manifests: readonly ReadManifest[],
  readNames: ReadNames,
): Promise<StoredDelete[]> {
  const deletes: StoredDelete[] = [];
  const known = new Set(
    liveEntriesOf(manifests, MANIFEST_CONTENT.data).map(({ data_file }) => canonicalLocation(data_file.file_path)),
  );
  for (const entry of liveEntriesOf(manifests, MANIFEST_CONTENT.deletes)) {
    const { content, file_path, file_format, record_count } = entry.data_file;
    if (content !== CONTENT.position_deletes || file_format !== "PARQUET") throw unsupportedDeletes(table);
    const named = namedFile(entry);
    // An unknown name may be a truncated bound, so the content is read before the delete counts as dangling.
    const names = named !== null && known.has(named) ? [named] : (await readNames(file_path)).map(canonicalLocation);
    deletes.push({
      location: file_path,
      rows: Number(record_count),
      sequence_number: entry.sequence_number ?? 0,
      names: new Set(names),
    });
  }
  return deletes;
}

function deletesByName(deletes: readonly StoredDelete[]): Map<string, StoredDelete[]> {
  const by_name = new Map<string, StoredDelete[]>();
  for (const deletion of deletes) {
    for (const name of deletion.names) by_name.set(name, [...(by_name.get(name) ?? []), deletion]);
  }
  return by_name;
}

interface FileContext {
  by_name: ReadonlyMap<string, StoredDelete[]>;
  windowOfFile: ReturnType<typeof windowsOf>;
}

function storedFile(
  { data_file, sequence_number }: ManifestEntry,
  spec_id: number,
  { by_name, windowOfFile }: FileContext,
): StoredFile {
  const file = {
    location: data_file.file_path,
    spec_id,
    partition: data_file.partition,
    rows: Number(data_file.record_count),
    size_bytes: Number(data_file.file_size_in_bytes),
    sequence_number: sequence_number ?? 0,
    window_ms: windowOfFile(data_file.file_path, sequence_number ?? 0),
  };
  const naming = by_name.get(canonicalLocation(file.location)) ?? [];
  return { ...file, deletes: naming.filter((deletion) => isNoOlder(deletion, file)) };
}

/** Orders files by commit; the sort is stable, so files of one commit keep their order. */
function bySequence(a: StoredFile, b: StoredFile): number {
  return Number(a.sequence_number > b.sequence_number) - Number(a.sequence_number < b.sequence_number);
}

function unsupportedFile({ identifier }: LoadedTable, { data_file }: ManifestEntry): OperatingError {
  return new OperatingError(
    "UNSUPPORTED_FILE",
    `Cannot compact ${nameOfTable(identifier)}: unsupported format ${data_file.file_format} of ${data_file.file_path}`,
    {
      next_step: "Compact this table with an engine that supports it, such as Spark's rewrite_data_files.",
    },
  );
}

function unsupportedDeletes({ identifier }: LoadedTable): OperatingError {
  return new OperatingError(
    "UNSUPPORTED_DELETES",
    `Cannot compact ${nameOfTable(identifier)}: equality deletes and deletion vectors are not supported`,
    {
      next_step: "Compact this table with an engine that supports them, such as Spark's rewrite_data_files.",
    },
  );
}

/** Deletes that apply to no file of the state, without the files in `gone`. */
export function danglingDeletes({ files, deletes }: TableState, gone: ReadonlySet<string> = new Set()): StoredDelete[] {
  const needed = new Set(files.filter(({ location }) => !gone.has(location)).flatMap((file) => file.deletes));
  return deletes.filter((deletion) => !needed.has(deletion));
}

export function figuresOf(table: LoadedTable, manifests: readonly ReadManifest[]): TableFigures {
  const data = liveEntriesOf(manifests, MANIFEST_CONTENT.data).map(({ data_file }) => data_file);
  const deletes = liveEntriesOf(manifests, MANIFEST_CONTENT.deletes).map(({ data_file }) => data_file);
  const rows = (files: typeof data) => files.reduce((sum, { record_count }) => sum + Number(record_count), 0);
  return {
    files: data.length,
    delete_files: deletes.length,
    size_bytes: [...data, ...deletes].reduce((sum, { file_size_in_bytes }) => sum + Number(file_size_in_bytes), 0),
    rows: rows(data) - rows(deletes),
    manifests: manifests.length,
    snapshots: table.metadata.snapshots.length,
  };
}
