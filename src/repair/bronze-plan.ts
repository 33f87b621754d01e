import type { TableMetadata } from "../iceberg/model.ts";
import type { BronzeFiles } from "../duckdb/bronze-files.ts";
import { OperatingError } from "../base/errors.ts";
import { decodeBound } from "../iceberg/bounds.ts";
import { CONTENT, STATUS, type DataFile } from "../iceberg/manifest-model.ts";
import { lostOffsets } from "../ingest/lost-offsets.ts";
import type { LogOffsets, PartitionOffsets } from "../log/offsets.ts";
import { readOffsets } from "../ingest/offsets.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import {
  NO_OFFSETS,
  countOffsets,
  intersectOffsets,
  subtractOffsets,
  unionOffsets,
  type OffsetRanges,
} from "../ingest/offset-ranges.ts";
import type { Log, PartitionBounds } from "../log/log.ts";
import { isAsInLog } from "./compare-log.ts";
import type { TableState } from "./table-state.ts";

/** The records that bronze lacks, and their sources. */
export interface BronzePlan {
  /** Files to remove from the current snapshot, by their location in the manifests. */
  removed: ReadonlySet<string>;
  /** Reasons for removing files that are neither missing nor truncated, and other findings. */
  remarks: string[];
  from_log: OffsetRanges;
  /** Data files outside the current snapshot, in the warehouse or a backup, with records that it lacks. */
  sources: string[];
  from_files: OffsetRanges;
  /** Offsets of unrecoverable records. */
  lost: OffsetRanges;
  /** Consumed offsets of bronze after the repair. */
  next: PartitionOffsets;
}

export type BronzeReader = Pick<BronzeFiles, "isReadable" | "offsetsIn" | "records">;

export interface BronzeSearch {
  state: TableState | null;
  topic: string;
  /** Bounds of the log; empty if it has no records of this topic. */
  bounds: readonly PartitionBounds[];
  /** Null if bronze is not compared with it. */
  log: Log | null;
  /**
   * Offsets by partition that bronze must reach besides the log's begin: those of a recreated log, and of silver and
   * gold.
   */
  at_least: readonly PartitionOffsets[];
  files: BronzeReader;
  /** Data files outside the snapshot that may have records. */
  candidates: readonly string[];
  /** Reads every file, counts every offset and compares every record with the log. */
  is_thorough: boolean;
}

/** Null if bronze is complete. Reads data files only if something is damaged, or if requested. */
export async function planBronze(search: BronzeSearch): Promise<BronzePlan | null> {
  const { state, topic, bounds, at_least, files, is_thorough } = search;
  const said = state === null ? new Map<number, number>() : offsetsOrNone(state.loaded.metadata, topic);
  const held = state === null ? said : heldOffsets(state, topic);
  const ends = new Map(bounds.map(({ partition, end }) => [partition, end]));
  // The rows determine the consumed offsets, at most up to those that the log has assigned.
  const consumed = new Map(
    Array.from(held, ([partition, end]) => [
      partition,
      Math.min(end, ends.get(partition) ?? said.get(partition) ?? end),
    ]),
  );
  const next = new Map(consumed);
  const begins = new Map(bounds.map(({ partition, begin }) => [partition, begin]));
  for (const [partition, least] of [begins, ...at_least].flatMap((offsets) => [...offsets])) {
    if (consumed.size > 0 || least > 0) next.set(partition, Math.max(least, next.get(partition) ?? 0));
  }
  const forgotten = rangesBetween(consumed, next);
  // A snapshot may state offsets too; readers use the greater ones.
  const stated = state === null ? said : offsetsOrNone({ ...state.loaded.metadata, snapshots: [] }, topic);
  const is_said = [...next].every(([partition, end]) => stated.get(partition) === end);
  const has_unknown = state?.has_unknown_files === true;
  const damaged = new Set(state?.damaged.map(({ data_file }) => data_file.file_path));
  if (damaged.size === 0 && !has_unknown && forgotten.size === 0 && is_said && !is_thorough) return null;

  const whole = rangesBetween(new Map(), next);
  const entries = state === null ? [] : liveFiles(state);
  const is_all_read = has_unknown || is_thorough || state === null;
  const hull = is_all_read
    ? whole
    : hullOf(
        entries.filter(({ file_path }) => damaged.has(file_path)),
        state,
      );
  const expected = unionOffsets(hull ?? whole, forgotten);
  const own = is_thorough
    ? await examine(search, entries, damaged, whole)
    : await keepAll(search, entries, damaged, expected);
  const acknowledged = state === null ? NO_OFFSETS : lostOffsets(state.loaded.metadata, topic);
  const missing = subtractOffsets(subtractOffsets(expected, own.present), acknowledged);
  if (own.removed.size === 0 && !has_unknown && missing.size === 0 && is_said) return null;

  const from_log = intersectOffsets(
    missing,
    new Map(bounds.map(({ partition, begin, end }) => [partition, [[begin, end]]])),
  );
  const elsewhere = subtractOffsets(missing, from_log);
  const found = await searchFiles({ topic, files, candidates: [...own.readable, ...search.candidates] }, elsewhere);
  const is_wrong = [...consumed].some(([partition, end]) => stated.get(partition) !== end);
  const remarks = [
    ...own.remarks,
    ...(is_wrong ? [`its consumed offsets are ${JSON.stringify(Object.fromEntries(stated))}`] : []),
  ];
  const lost = subtractOffsets(elsewhere, found.offsets);
  return { removed: own.removed, remarks, from_log, sources: found.sources, from_files: found.offsets, lost, next };
}

/** By partition; empty if the property is malformed. */
export function offsetsOrNone(metadata: TableMetadata, topic: string): Map<number, number> {
  return unlessMalformed(() => readOffsets(metadata, topic)) ?? new Map();
}

/** The offsets that a table has consumed; empty if the property is malformed. */
export function consumedOffsetsOrNone(metadata: TableMetadata): LogOffsets {
  return unlessMalformed(() => consumedOffsets(metadata)) ?? {};
}

function unlessMalformed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof OperatingError && error.code === "INVALID_OFFSETS") return null;
    throw error;
  }
}

/**
 * Offsets after the last row of each partition, or after a following acknowledged gap; the property's offsets without
 * column bounds.
 */
export function heldOffsets(state: TableState, topic: string): Map<number, number> {
  const { metadata } = state.loaded;
  const said = offsetsOrNone(metadata, topic);
  const hull =
    state.has_unknown_files || state.damaged.length > 0 ? null : hullOf(liveFiles(state).filter(isData), state);
  if (hull === null || said.size > 1) return said;
  const lost = lostOffsets(metadata, topic);
  const partitions = new Set([...said.keys(), ...hull.keys()]);
  return new Map(
    Array.from(partitions, (partition): [number, number] => {
      const last = hull.get(partition)?.at(-1)?.[1] ?? 0;
      const gap = lost.get(partition)?.find(([from, to]) => from <= last && to > last)?.[1] ?? 0;
      return [partition, Math.max(last, gap)];
    }),
  );
}

/** Files of the snapshot to remove, and the offsets of the others. */
interface OwnFiles {
  removed: Set<string>;
  remarks: string[];
  present: OffsetRanges;
  /** Files to remove whose records are readable: valid records are kept. */
  readable: string[];
}

async function keepAll(
  { files, topic }: BronzeSearch,
  entries: readonly DataFile[],
  damaged: ReadonlySet<string>,
  within: OffsetRanges,
): Promise<OwnFiles> {
  const kept = entries.filter((file) => isData(file) && !damaged.has(file.file_path)).map(({ file_path }) => file_path);
  return { removed: new Set(damaged), remarks: [], present: await files.offsetsIn(kept, topic, within), readable: [] };
}

/** Whether the file has each offset once, with the log's records and no others. */
async function examine(
  search: BronzeSearch,
  entries: readonly DataFile[],
  damaged: ReadonlySet<string>,
  whole: OffsetRanges,
): Promise<OwnFiles> {
  const { files, topic } = search;
  const own: OwnFiles = { removed: new Set(damaged), remarks: [], present: NO_OFFSETS, readable: [] };
  const leave = (file: DataFile, why: string): void => {
    own.removed.add(file.file_path);
    own.remarks.push(`${isData(file) ? "data file" : "delete file"} ${file.file_path} ${why}`);
  };
  // No writer deletes single records of bronze, so a delete file is unexpected.
  for (const file of entries) if (!isData(file) && !damaged.has(file.file_path)) leave(file, "deletes records");
  for (const file of entries.filter((entry) => isData(entry) && !damaged.has(entry.file_path))) {
    if (!(await files.isReadable(file.file_path))) {
      leave(file, "cannot be decoded");
      continue;
    }
    const offsets = await files.offsetsIn([file.file_path], topic, whole);
    const reason = await reasonToLeave(search, file, offsets, own.present);
    if (reason === null) own.present = unionOffsets(own.present, offsets);
    else {
      leave(file, reason);
      own.readable.push(file.file_path);
    }
  }
  return own;
}

async function reasonToLeave(
  search: BronzeSearch,
  file: DataFile,
  offsets: OffsetRanges,
  present: OffsetRanges,
): Promise<string | null> {
  if (countOffsets(offsets) !== Number(file.record_count))
    return "has duplicate records, or records that the log never had";
  if (intersectOffsets(offsets, present).size > 0) return "has records that other files also have";
  return (await isAsInLog(search, file.file_path, offsets)) ? null : "has records that differ from the log";
}

function liveFiles({ manifests }: TableState): DataFile[] {
  return manifests.flatMap(({ entries }) =>
    entries.filter(({ status }) => status !== STATUS.deleted).map(({ data_file }) => data_file),
  );
}

function isData({ content }: DataFile): boolean {
  return content === CONTENT.data;
}

/** Offsets that the log must reach: in each partition the lower of those of the table's rows and its property. */
export function agreedOffsets(state: TableState, topic: string): Map<number, number> {
  const held = heldOffsets(state, topic);
  const said = offsetsOrNone(state.loaded.metadata, topic);
  return new Map(
    Array.from(said.size === 0 ? held : said, ([partition, end]) => [
      partition,
      Math.min(end, held.get(partition) ?? end),
    ]),
  );
}

function rangesBetween(from: PartitionOffsets, to: PartitionOffsets): OffsetRanges {
  return unionOffsets(
    new Map(Array.from(to, ([partition, end]) => [partition, [[from.get(partition) ?? 0, end]]])),
    NO_OFFSETS,
  );
}

/** Offset range of the files by their bounds; null if a file does not state them. */
function hullOf(files: readonly DataFile[], { loaded }: TableState): OffsetRanges | null {
  const idOf = (name: string): number =>
    loaded.metadata.schemas.flatMap(({ fields }) => fields).find((field) => field.name === name)?.id ?? -1;
  const [partition_id, offset_id] = [idOf("log_partition"), idOf("log_offset")];
  let hull = NO_OFFSETS;
  for (const { lower_bounds, upper_bounds } of files) {
    const bounds = [
      lower_bounds?.get(partition_id),
      upper_bounds?.get(partition_id),
      lower_bounds?.get(offset_id),
      upper_bounds?.get(offset_id),
    ];
    const [first, last, from, to] = bounds.map((bound) =>
      bound === undefined ? null : Number(decodeBound(bound.length === 4 ? "int" : "long", bound)),
    );
    if (first == null || last == null || from == null || to == null) return null;
    for (let partition = first; partition <= last; partition += 1)
      hull = unionOffsets(hull, new Map([[partition, [[from, to + 1]]]]));
  }
  return hull;
}

type FileSearch = Pick<BronzeSearch, "candidates" | "files" | "topic">;

/** Reads file by file; an unreadable file counts as empty. */
async function searchFiles(
  { candidates, files, topic }: FileSearch,
  missing: OffsetRanges,
): Promise<{ sources: string[]; offsets: OffsetRanges }> {
  const sources: string[] = [];
  let offsets = NO_OFFSETS;
  for (const candidate of candidates) {
    const wanted = subtractOffsets(missing, offsets);
    if (wanted.size === 0) break;
    if (!(await files.isReadable(candidate))) continue;
    const found = intersectOffsets(await files.offsetsIn([candidate], topic, wanted), wanted);
    if (countOffsets(found) === 0) continue;
    sources.push(candidate);
    offsets = unionOffsets(offsets, found);
  }
  return { sources, offsets };
}
