import { isSameLong } from "../iceberg/long.ts";
import type { Long } from "../iceberg/model.ts";
import type { ManifestEntry, PartitionTuple } from "../iceberg/manifest-model.ts";
import { canonicalLocation } from "../storage/location.ts";

/** Plans which files compaction merges. Pure; works on manifest entries. */

export interface CompactionLimits {
  /** A file of this size is complete: it is rewritten only for its deletes. */
  target_size_bytes: number;
  /** Minimum number of files of similar size that are merged. */
  fan_in: number;
}

/** A data file with the position deletes that apply to it. */
export interface StoredFile {
  location: string;
  spec_id: number;
  partition: PartitionTuple;
  rows: number;
  size_bytes: number;
  sequence_number: Long;
  /** Start of the window in which its last rows were committed, if known. */
  window_ms: number;
  deletes: readonly StoredDelete[];
}

/** A position delete file, and the data files that it names. */
export interface StoredDelete {
  location: string;
  rows: number;
  sequence_number: Long;
  /** Canonical locations of data files. */
  names: ReadonlySet<string>;
}

/** Files that are merged into one new file, in this order. */
export interface Bin {
  files: readonly StoredFile[];
  delete_files: readonly string[];
}

/** Ratio of rows between tiers. Each rewrite that is not caused by deletes moves a file up at least one tier. */
const TIER_FACTOR = 4;
/** A file below this share of the target size counts as small. */
const SMALL_SHARE = 0.75;
/** A file with at least this share of deleted rows is rewritten. */
const DELETED_SHARE = 0.1;
/** A complete file with this many delete files is rewritten, because each reader opens them all. */
const MAX_DELETE_FILES = 32;
/** Maximum files of a bin, which an engine opens at once. */
const MAX_BIN_FILES = 1_000;

/**
 * The number of files of past windows, in a partition that never becomes cold, above which some are merged: more than a
 * day has.
 */
const WINDOW_FAN_IN = 32;

/**
 * How the files of a partition are merged:
 * - `cold`: the partition has had no writes for a while, so all small files are merged into complete files at once;
 * - `windows`: files are merged by size within the current window, and into one file when the window ends. That file
 *   stays until the partition is cold, so that snapshots of past hours share files, and a row is on disk about twice,
 *   independent of the number of snapshots;
 * - `sizes`: files are merged by size alone, for tables without partitions.
 */
export type PartitionState = { kind: "cold" | "sizes" } | { kind: "windows"; open_window_ms: number };

/**
 * The bins of one partition; empty if there is nothing to do. Files of similar size are merged tier by tier, so that a
 * row is rewritten about log(rows of a complete file) / log(fan_in) times, not once per compaction.
 */
export function planPartition(files: readonly StoredFile[], limits: CompactionLimits, state: PartitionState): Bin[] {
  if (state.kind === "cold") return binsOf(chooseCold(files, limits), limits);
  if (state.kind === "windows") return planWindows(files, limits, state.open_window_ms);
  return binsOf(inOrder(files, [...chooseByTier(files, limits), ...chooseByDeletes(files, limits)]), limits);
}

/** Merges each past window into one file. A bin holds files of one window, unless there are too many past windows. */
function planWindows(files: readonly StoredFile[], limits: CompactionLimits, open_window_ms: number): Bin[] {
  const windows = Map.groupBy(files, ({ window_ms }) => Math.min(window_ms, open_window_ms));
  const with_many_deletes = chooseByDeletes(files, limits);
  const bins = [...windows].flatMap(([window_ms, members]) => {
    const small = members.filter((file) => isSmall(file, limits));
    const due = window_ms === open_window_ms ? chooseByTier(members, limits) : small.length > 1 ? small : [];
    return binsOf(inOrder(members, [...due, ...with_many_deletes]), limits);
  });
  if (bins.length > 0) return bins;
  const past = files.filter(({ window_ms }) => window_ms < open_window_ms);
  return binsOf(chooseByTier(past, { ...limits, fan_in: WINDOW_FAN_IN }), limits);
}

/**
 * Bytes that later compactions will write again: the small files of every partition that has several files. Of two
 * snapshots of one time, the one with fewer such bytes shares more files with later snapshots.
 */
export function unsettledBytes(files: readonly PlannedFile[], limits: CompactionLimits): number {
  const partitions = [...Map.groupBy(files, partitionKey).values()].filter((members) => members.length > 1);
  return partitions.flat().reduce((sum, file) => sum + (isSmall(file, limits) ? file.size_bytes : 0), 0);
}

type PlannedFile = Pick<StoredFile, "spec_id" | "partition" | "size_bytes">;

/** Equal for files of one partition. */
export function partitionKey({ spec_id, partition }: Pick<StoredFile, "spec_id" | "partition">): string {
  return JSON.stringify([
    spec_id,
    ...[...partition].map(([id, value]) => [
      id,
      value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value),
    ]),
  ]);
}

function inOrder(files: readonly StoredFile[], chosen: readonly StoredFile[]): StoredFile[] {
  const among = new Set(chosen);
  return files.filter((file) => among.has(file));
}

function isSmall({ size_bytes }: Pick<StoredFile, "size_bytes">, { target_size_bytes }: CompactionLimits): boolean {
  return size_bytes < target_size_bytes * SMALL_SHARE;
}

function deletedRows({ deletes }: StoredFile): number {
  return deletes.reduce((sum, { rows, names }) => sum + (names.size === 1 ? rows : 0), 0);
}

function liveRows(file: StoredFile): number {
  return Math.max(0, file.rows - deletedRows(file));
}

function chooseCold(files: readonly StoredFile[], limits: CompactionLimits): StoredFile[] {
  const small = files.filter((file) => isSmall(file, limits));
  const deleted = files.filter(({ deletes }) => deletes.length > 0);
  return inOrder(files, small.length > 1 ? [...small, ...deleted] : deleted);
}

/**
 * The small files up to the lowest tier with enough files for a file of a higher tier, and those of the tiers that the
 * result then fills. A few rows do not cause the rewrite of a large file, regardless of how many small files hold them.
 */
function chooseByTier(files: readonly StoredFile[], limits: CompactionLimits): StoredFile[] {
  const small = files
    .filter((file) => isSmall(file, limits))
    .map((file) => ({ file, rows: Math.max(1, liveRows(file)) }));
  let chosen: StoredFile[] = [];
  for (;;) {
    const level = lowestFullTier(small, new Set(chosen), limits.fan_in);
    if (level === null) return chosen;
    chosen = small.filter(({ file, rows }) => tierOf(rows) <= level || chosen.includes(file)).map(({ file }) => file);
  }
}

/** Counts the chosen files as the one file that they become. */
function lowestFullTier(
  small: readonly { file: StoredFile; rows: number }[],
  chosen: ReadonlySet<StoredFile>,
  fan_in: number,
): number | null {
  const others = small.filter(({ file }) => !chosen.has(file)).map(({ rows }) => rows);
  const merged = small.reduce((sum, { file, rows }) => sum + (chosen.has(file) ? rows : 0), 0);
  const all = merged === 0 ? others : [...others, merged];
  for (const tier of [...new Set(others.map(tierOf))].sort((a, b) => a - b)) {
    const gathered = all.filter((rows) => tierOf(rows) <= tier);
    if (gathered.length >= fan_in && tierOf(gathered.reduce((sum, rows) => sum + rows, 0)) > tier) return tier;
  }
  return null;
}

function tierOf(rows: number): number {
  return Math.floor(Math.log(Math.max(1, rows)) / Math.log(TIER_FACTOR));
}

/**
 * Once there are enough delete files: the files that are cheap to rewrite, or have lost a large share of their rows.
 */
function chooseByDeletes(files: readonly StoredFile[], limits: CompactionLimits): StoredFile[] {
  const with_deletes = files.filter(({ deletes }) => deletes.length > 0);
  const delete_files = new Set(with_deletes.flatMap(({ deletes }) => deletes.map(({ location }) => location)));
  if (delete_files.size < limits.fan_in) return [];
  return with_deletes.filter(
    (file) =>
      isSmall(file, limits) ||
      deletedRows(file) >= file.rows * DELETED_SHARE ||
      file.deletes.length >= MAX_DELETE_FILES,
  );
}

/** Packs files in order up to the size of a complete file. A single file is rewritten only for its deletes. */
function binsOf(files: readonly StoredFile[], { target_size_bytes }: CompactionLimits): Bin[] {
  const bins: StoredFile[][] = [];
  let size_bytes = 0;
  for (const file of files) {
    const bin = bins.at(-1);
    if (bin === undefined || bin.length === MAX_BIN_FILES || size_bytes + file.size_bytes > target_size_bytes) {
      bins.push([file]);
      size_bytes = file.size_bytes;
    } else {
      bin.push(file);
      size_bytes += file.size_bytes;
    }
  }
  return bins
    .filter((bin) => bin.length > 1 || (bin[0]?.deletes.length ?? 0) > 0)
    .map((bin) => ({
      files: bin,
      delete_files: [...new Set(bin.flatMap(({ deletes }) => deletes.map(({ location }) => location)))],
    }));
}

const FILE_PATH_COLUMN = 2147483646;

/**
 * The one data file that a position delete file names, by its `referenced_data_file` field or by equal bounds of its
 * paths; null where it may name several. Truncated bounds differ.
 */
export function namedFile({ data_file }: ManifestEntry): string | null {
  if (data_file.referenced_data_file !== null) return canonicalLocation(data_file.referenced_data_file);
  const lower = textOf(data_file.lower_bounds?.get(FILE_PATH_COLUMN));
  const upper = textOf(data_file.upper_bounds?.get(FILE_PATH_COLUMN));
  return lower !== null && lower === upper ? canonicalLocation(lower) : null;
}

function textOf(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Whether a delete applies to a data file: only if its sequence number is no lower (spec, "Scan Planning"). */
export function isNoOlder(
  deletion: Pick<StoredDelete, "sequence_number">,
  file: Pick<StoredFile, "sequence_number">,
): boolean {
  return deletion.sequence_number > file.sequence_number || isSameLong(deletion.sequence_number, file.sequence_number);
}
