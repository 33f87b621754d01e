import type { BronzeFiles } from "../engine/embedded/bronze-files.ts";
import { decodeBound } from "../iceberg/bounds.ts";
import { CONTENT, STATUS, type DataFile } from "../iceberg/manifest-model.ts";
import { lostOffsets } from "../ingest/lost-offsets.ts";
import {
  NO_OFFSETS,
  countOffsets,
  intersectOffsets,
  subtractOffsets,
  unionOffsets,
  type OffsetRanges,
} from "../ingest/offset-ranges.ts";
import { readOffsets } from "../ingest/offsets.ts";
import type { PartitionBounds } from "../log/log.ts";
import type { TableState } from "./table-state.ts";

/** What bronze lacks, and where its records are. */
export interface BronzePlan {
  /** Data files of the current snapshot that cannot be read, by their location as the manifests spell it. */
  removed: ReadonlySet<string>;
  from_log: OffsetRanges;
  /** Data files that the current snapshot does not have, of the warehouse or of a backup, with records that it lacks. */
  sources: string[];
  from_files: OffsetRanges;
  /** Offsets that nothing can bring back. */
  lost: OffsetRanges;
  /** The offsets that bronze has consumed once this is done. */
  next: ReadonlyMap<number, number>;
}

export type BronzeReader = Pick<BronzeFiles, "isReadable" | "offsetsIn">;

export interface BronzeSearch {
  state: TableState | null;
  topic: string;
  /** Bounds of the log; empty where it has none of this topic. */
  bounds: readonly PartitionBounds[];
  /** Offsets by partition that bronze has to reach, besides the log's first: of a log that is made again, of silver and gold. */
  at_least: readonly ReadonlyMap<number, number>[];
  files: BronzeReader;
  /** Data files that may hold records, apart from the snapshot's own. */
  candidates: readonly string[];
  /** Every file is read to its end, and every offset counted. */
  is_thorough: boolean;
}

/** Null where bronze lacks nothing. Reads data files only where something is damaged, or where it is asked for. */
export async function planBronze(search: BronzeSearch): Promise<BronzePlan | null> {
  const { state, topic, bounds, at_least, files, is_thorough } = search;
  const consumed = state === null ? new Map<number, number>() : readOffsets(state.loaded.metadata, topic);
  const next = new Map(consumed);
  const begins = new Map(bounds.map(({ partition, begin }) => [partition, begin]));
  for (const [partition, least] of [begins, ...at_least].flatMap((offsets) => [...offsets])) {
    if (consumed.size > 0 || least > 0) next.set(partition, Math.max(least, next.get(partition) ?? 0));
  }
  const forgotten = rangesBetween(consumed, next);
  const removed = await damagedFiles(search);
  const has_unknown = state?.has_unknown_files === true;
  if (removed.size === 0 && !has_unknown && forgotten.size === 0 && !is_thorough) return null;

  const whole: OffsetRanges = rangesBetween(new Map(), next);
  const entries = state === null ? [] : liveFiles(state);
  const hull = has_unknown || is_thorough || state === null ? whole : hullOf(entries.filter(({ file_path }) => removed.has(file_path)), search);
  const expected = unionOffsets(hull ?? whole, forgotten);
  const kept = entries.filter(({ file_path, content }) => content === CONTENT.data && !removed.has(file_path));
  const present = await files.offsetsIn(kept.map(({ file_path }) => file_path), topic, expected);
  const acknowledged = state === null ? NO_OFFSETS : lostOffsets(state.loaded.metadata, topic);
  const missing = subtractOffsets(subtractOffsets(expected, present), acknowledged);
  if (removed.size === 0 && !has_unknown && missing.size === 0 && forgotten.size === 0) return null;

  const from_log = intersectOffsets(missing, new Map(bounds.map(({ partition, begin, end }) => [partition, [[begin, end]]])));
  const elsewhere = subtractOffsets(missing, from_log);
  const { sources, offsets: from_files } = await searchFiles(search, elsewhere);
  return { removed, from_log, sources, from_files, lost: subtractOffsets(elsewhere, from_files), next };
}

async function damagedFiles({ state, files, is_thorough }: BronzeSearch): Promise<Set<string>> {
  if (state === null) return new Set();
  const damaged = new Set(state.damaged.map(({ data_file }) => data_file.file_path));
  if (!is_thorough) return damaged;
  for (const { file_path } of liveFiles(state)) {
    if (!damaged.has(file_path) && !(await files.isReadable(file_path))) damaged.add(file_path);
  }
  return damaged;
}

function liveFiles({ manifests }: TableState): DataFile[] {
  return manifests.flatMap(({ entries }) => entries.filter(({ status }) => status !== STATUS.deleted).map(({ data_file }) => data_file));
}

function rangesBetween(from: ReadonlyMap<number, number>, to: ReadonlyMap<number, number>): OffsetRanges {
  return unionOffsets(new Map(Array.from(to, ([partition, end]) => [partition, [[from.get(partition) ?? 0, end]]])), NO_OFFSETS);
}

/** The offsets that the files may hold, by their bounds; null where a file does not state them. */
function hullOf(files: readonly DataFile[], { state }: BronzeSearch): OffsetRanges | null {
  const schemas = state?.loaded.metadata.schemas ?? [];
  const idOf = (name: string): number => schemas.flatMap(({ fields }) => fields).find((field) => field.name === name)?.id ?? -1;
  const [partition_id, offset_id] = [idOf("log_partition"), idOf("log_offset")];
  let hull = NO_OFFSETS;
  for (const { lower_bounds, upper_bounds } of files) {
    const bounds = [lower_bounds?.get(partition_id), upper_bounds?.get(partition_id), lower_bounds?.get(offset_id), upper_bounds?.get(offset_id)];
    const [first, last, from, to] = bounds.map((bound) => (bound === undefined ? null : Number(decodeBound(bound.length === 4 ? "int" : "long", bound))));
    if (first == null || last == null || from == null || to == null) return null;
    for (let partition = first; partition <= last; partition += 1) hull = unionOffsets(hull, new Map([[partition, [[from, to + 1]]]]));
  }
  return hull;
}

/** File by file: one that cannot be read holds nothing. */
async function searchFiles({ candidates, files, topic }: BronzeSearch, missing: OffsetRanges): Promise<{ sources: string[]; offsets: OffsetRanges }> {
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
