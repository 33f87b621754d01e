import { randomUUID } from "node:crypto";
import { nameOfTable } from "../iceberg/errors.ts";
import { isSameLong } from "../iceberg/long.ts";
import type { LoadedTable, Long, TableIdentifier } from "../iceberg/model.ts";
import { openRewriter, type Rewriter } from "../duckdb/rewriter.ts";
import { OperatingError, UnknownOutcome } from "../base/errors.ts";
import { concatenate } from "../iceberg/concatenate.ts";
import { MANIFEST_CONTENT, type DataFile } from "../iceberg/manifest-model.ts";
import { isSmallManifest, stageReplacement, type Replacement } from "../iceberg/replace.ts";
import { currentSnapshot, writingKind } from "../iceberg/stage.ts";
import { liveEntriesOf, readManifests } from "../iceberg/snapshot-files.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import { emptyReport, type ActionReport, type MaintenanceParts } from "./parts.ts";
import { isFileGone, readCurrent } from "./read-current.ts";
import {
  partitionKey,
  planPartition,
  unsettledBytes,
  type Bin,
  type CompactionLimits,
  type PartitionState,
  type StoredFile,
} from "./plan.ts";
import { compactedFileName, windowOf } from "./window.ts";
import { UNSETTLED_BYTES } from "./retention.ts";
import { danglingDeletes, figuresOf, readState, type ReadNames, type TableState } from "./table-state.ts";

export interface CompactionOptions extends Partial<CompactionLimits> {
  is_dry_run?: boolean;
  /** Called with the bytes read so far and the known total. */
  progress?(done_bytes: number, total_bytes: number): void;
}

/** Default target size: queries read few files, and a rewrite takes about a second. */
export const DEFAULT_TARGET_SIZE_BYTES = 128 * 1024 * 1024;
export const DEFAULT_FAN_IN = 8;
/** A partition is cold after this time without writes. */
const COLD_AFTER_MS = 2 * 3_600_000;
/** Maximum size of one commit, so that an interrupted run keeps its completed work. */
const MAX_COMMIT_BYTES = 512 * 1024 * 1024;
/** Maximum commit attempts per run and table; the next run continues. */
const MAX_ROUNDS = 1_000;
/** Maximum consecutive conflicts with other writers before the run gives up on the table. */
const MAX_LOST_RACES = 3;
/** Attempts of one commit while other writers only append. */
const MAX_COMMIT_ATTEMPTS = 8;

/**
 * Merges a table's small files and applies its position deletes; rows, their order and the table's properties do not
 * change. Returns null if there was nothing to do. Safe with concurrent writers: it commits a rewrite only if all
 * rewritten files are still in the table, without new deletes. Throws UNSUPPORTED_DELETES, UNSUPPORTED_COLUMN,
 * UNSUPPORTED_FILE, UNSUPPORTED_FORMAT, INVALID_TARGET_SIZE, REWRITE_LOSES_ROWS, DATA_FILES_FAILED, STORAGE_FULL,
 * COMPACTION_OVERTAKEN and the catalog's errors.
 */
export async function compactTable(
  parts: MaintenanceParts,
  identifier: TableIdentifier,
  options: CompactionOptions = {},
): Promise<ActionReport | null> {
  const started_ms = performance.now();
  const run = new Compaction(parts, identifier, options);
  try {
    return await run.all(started_ms);
  } finally {
    run.close();
  }
}

class Compaction {
  readonly #parts: MaintenanceParts;
  readonly #identifier: TableIdentifier;
  readonly #options: CompactionOptions;
  /** Opened on first use. */
  #rewriter: Promise<Rewriter> | null = null;
  #rewritten = { files: 0, bytes: 0 };
  #added = { files: 0, bytes: 0 };
  #commits = 0;
  #conflicts = 0;

  constructor(parts: MaintenanceParts, identifier: TableIdentifier, options: CompactionOptions) {
    this.#parts = parts;
    this.#identifier = identifier;
    this.#options = options;
  }

  async all(started_ms: number): Promise<ActionReport | null> {
    let before: ActionReport["before"] | null = null;
    let lost_races = 0;
    let found_bytes = 0;
    for (let round = 0; round < MAX_ROUNDS && !this.#parts.signal.aborted; round += 1) {
      const state = await this.#state();
      if (state === null) break;
      before ??= figuresOf(state.table, state.manifests);
      const bins = planTable(state, this.#limits(state.table));
      const is_needed =
        bins.length > 0 ||
        danglingDeletes(state).length > 0 ||
        hasManySmallManifests(state, this.#limits(state.table).fan_in);
      // Files added meanwhile are left for the next run, because other tables wait for this one.
      if (!is_needed || (this.#commits > 0 && this.#rewritten.bytes >= found_bytes)) break;
      if (round === 0) found_bytes = sizeOf(bins);
      if (this.#options.is_dry_run === true)
        return this.#report(before, figuresOf(state.table, state.manifests), started_ms, bins);
      this.#options.progress?.(this.#rewritten.bytes, this.#rewritten.bytes + sizeOf(bins));
      const is_done = await this.#rewriteAndCommit(state, upTo(bins, MAX_COMMIT_BYTES));
      lost_races = is_done ? 0 : lost_races + 1;
      if (lost_races === MAX_LOST_RACES) throw overtaken(this.#identifier);
    }
    if (before === null || this.#commits === 0) return null;
    const table = await this.#parts.catalog.loadTable(this.#identifier);
    const snapshot = currentSnapshot(table.metadata);
    const after = figuresOf(
      table,
      snapshot === null ? [] : await readManifests(this.#parts.storage, table.metadata, snapshot),
    );
    return this.#report(before, after, started_ms, []);
  }

  close(): void {
    // The error of a failed open was reported to its first user.
    this.#rewriter?.then(
      (rewriter) => rewriter.close(),
      () => {},
    );
  }

  #state(): Promise<TableState | null> {
    return readCurrent(this.#parts.catalog, this.#identifier, (table) =>
      readState(this.#parts.storage, table, this.#readNames),
    );
  }

  /** Whether the table still has these files, without new deletes. */
  async #isCurrent(bins: readonly Bin[]): Promise<boolean> {
    const state = await this.#state();
    return state !== null && isStillValid(state, bins);
  }

  readonly #readNames: ReadNames = async (delete_file) => (await this.#open()).referencedFiles(delete_file);

  #open(): Promise<Rewriter> {
    this.#rewriter ??= openRewriter(this.#parts.engine);
    return this.#rewriter;
  }

  #limits({ metadata }: LoadedTable): CompactionLimits {
    const stated = metadata.properties["write.target-file-size-bytes"];
    const target_size_bytes =
      this.#options.target_size_bytes ?? (stated === undefined ? DEFAULT_TARGET_SIZE_BYTES : Number(stated));
    if (!(target_size_bytes > 0)) throw invalidTargetSize(stated ?? String(target_size_bytes));
    return { target_size_bytes, fan_in: this.#options.fan_in ?? DEFAULT_FAN_IN };
  }

  /** False if another writer committed first. */
  async #rewriteAndCommit(state: TableState, bins: readonly Bin[]): Promise<boolean> {
    const { storage, warehouse, pending, step, signal } = this.#parts;
    const folder = state.table.metadata.location;
    const name = nameOfTable(this.#identifier);
    const made: string[] = [];
    const rewritten: RewrittenBin[] = [];
    let is_known_to_have_failed = true;
    try {
      step("before rewrite");
      for (const bin of bins) {
        if (signal.aborted) return false;
        rewritten.push({ bin, output: await this.#rewrite(state, bin, made) });
      }
      step("after rewrite");
      const committed = await this.#parts.exclusively(name, () => this.#commit(state, rewritten, made));
      is_known_to_have_failed = committed === null;
      step("after replace");
      if (committed === null || committed.length < rewritten.length) this.#conflicts += 1;
      if (committed === null) return false;
      this.#count(committed);
      const lost = rewritten
        .filter((each) => !committed.includes(each))
        .flatMap(({ output }) => (output === null ? [] : [output.file.file_path]));
      await deleteOwnFiles({ storage, warehouse }, folder, lost);
      pending.remove(made);
      return true;
    } catch (error) {
      // Files that may have been committed stay; the next run checks whether a snapshot has them.
      is_known_to_have_failed &&= !(error instanceof UnknownOutcome) && error instanceof OperatingError;
      if (!is_known_to_have_failed || !isFileGone(error) || (await this.#isCurrent(bins))) throw error;
      this.#conflicts += 1;
      return false;
    } finally {
      if (is_known_to_have_failed) {
        await deleteOwnFiles({ storage, warehouse }, folder, made);
        pending.remove(made);
      }
    }
  }

  #count(committed: readonly RewrittenBin[]): void {
    const bins = committed.map(({ bin }) => bin);
    const added = committed.flatMap(({ output }) => (output === null ? [] : [output.file]));
    this.#commits += 1;
    this.#rewritten.files += bins.flatMap(({ files }) => files).length;
    this.#rewritten.bytes += sizeOf(bins);
    this.#added.files += added.length;
    this.#added.bytes += added.reduce((sum, { file_size_in_bytes }) => sum + Number(file_size_in_bytes), 0);
  }

  /** Records files before they are written: after a kill, the next run deletes those that no snapshot contains. */
  #note(made: string[], locations: readonly string[]): void {
    made.push(...locations);
    this.#parts.pending.add(nameOfTable(this.#identifier), locations);
  }

  async #rewrite(state: TableState, bin: Bin, made: string[]): Promise<{ file: DataFile; spec_id: number } | null> {
    const { storage } = this.#parts;
    const [first] = bin.files;
    if (first === undefined) throw new TypeError("a bin has files");
    const { schema } = writingKind(state.table.metadata);
    const window_ms = Math.max(...bin.files.map((file) => file.window_ms));
    const location = `${folderOf(first, state.table)}/${compactedFileName(window_ms, randomUUID())}`;
    this.#note(made, [location]);
    const joined =
      bin.delete_files.length > 0
        ? null
        : await concatenate(storage, { files: dataFilesOf(state, bin), columns: schema.fields }, location);
    if (joined !== null) return { file: joined, spec_id: first.spec_id };
    const rewriter = await this.#open();
    const input = {
      files: bin.files.map(({ location: file, rows }) => ({ location: file, record_count: rows })),
      delete_files: bin.delete_files,
    };
    const file = await rewriter.rewrite(input, { location, partition: first.partition, columns: schema.fields });
    if (file === null) return null;
    await storage.sync(location);
    return { file, spec_id: first.spec_id };
  }

  /**
   * Commits the bins whose files are all still in the table without new deletes, and returns them; null if there are
   * none and the work must be planned again. After a commit without an answer, reads the table to find the outcome;
   * throws UnknownOutcome if that is inconclusive.
   */
  async #commit(
    planned: TableState,
    rewritten: readonly RewrittenBin[],
    made: string[],
  ): Promise<RewrittenBin[] | null> {
    const { catalog, storage, warehouse, clock, step } = this.#parts;
    const announce = (locations: readonly string[]): void => this.#note(made, locations);
    let unknown: { snapshot_id: Long; bins: RewrittenBin[]; error: UnknownOutcome } | null = null;
    for (let attempt = 1; attempt <= MAX_COMMIT_ATTEMPTS; attempt += 1) {
      const table = await catalog.loadTable(this.#identifier).catch((error: unknown) => {
        // Without an answer, the commit may have succeeded: its files must stay.
        throw unknown?.error ?? error;
      });
      if (unknown !== null) {
        const { snapshot_id, bins, error } = unknown;
        if (table.metadata.snapshots.some((snapshot) => isSameLong(snapshot["snapshot-id"], snapshot_id))) return bins;
        // The commit may still succeed, so nothing else is written or deleted.
        throw error;
      }
      const state = isSameLong(currentSnapshot(table.metadata)?.["snapshot-id"], planned.snapshot["snapshot-id"])
        ? { ...planned, table }
        : await readState(storage, table, this.#readNames);
      const valid = state === null ? [] : rewritten.filter(({ bin }) => isStillValid(state, [bin]));
      const is_deletes_only = rewritten.length === 0;
      if (state === null || (valid.length === 0 && !is_deletes_only)) return null;
      const replacement = replacementOf(planned, state, valid);
      const summary = { [UNSETTLED_BYTES]: String(unsettledAfter(state, replacement, this.#limits(table))) };
      const staged = await stageReplacement({ storage, clock, announce }, table, state.manifests, {
        ...replacement,
        summary,
      });
      step("before replace");
      try {
        await catalog.commit([staged.change]);
        return valid;
      } catch (error) {
        if (error instanceof UnknownOutcome) {
          unknown = { snapshot_id: staged.snapshot_id, bins: valid, error };
          continue;
        }
        if (!(error instanceof OperatingError)) throw error;
        await deleteOwnFiles({ storage, warehouse }, table.metadata.location, staged.written);
        if (error.code !== "COMMIT_CONFLICT") throw error;
      }
    }
    if (unknown !== null) throw unknown.error;
    return null;
  }

  #report(
    before: ActionReport["before"],
    after: ActionReport["after"],
    started_ms: number,
    planned: readonly Bin[],
  ): ActionReport {
    return {
      ...emptyReport("compact", nameOfTable(this.#identifier), before),
      after,
      rewritten_files: this.#rewritten.files + planned.flatMap(({ files }) => files).length,
      rewritten_bytes: this.#rewritten.bytes + sizeOf(planned),
      added_files: this.#added.files,
      added_bytes: this.#added.bytes,
      conflicts: this.#conflicts,
      seconds: (performance.now() - started_ms) / 1000,
      is_dry_run: this.#options.is_dry_run ?? false,
    };
  }
}

interface RewrittenBin {
  bin: Bin;
  /** Null if no rows remain after deletes. */
  output: { file: DataFile; spec_id: number } | null;
}

/** Manifest entries of the files of a bin, in its order. */
function dataFilesOf({ manifests }: TableState, { files }: Bin): DataFile[] {
  const by_location = new Map(
    liveEntriesOf(manifests, MANIFEST_CONTENT.data).map(({ data_file }) => [data_file.file_path, data_file]),
  );
  return files.flatMap(({ location }) => by_location.get(location) ?? []);
}

function replacementOf(planned: TableState, state: TableState, bins: readonly RewrittenBin[]): Replacement {
  const gone = new Set(bins.flatMap(({ bin }) => bin.files.map(({ location }) => location)));
  return {
    added: bins.flatMap(({ output }) => (output === null ? [] : [output])),
    removed: new Set([...gone, ...danglingDeletes(state, gone).map(({ location }) => location)]),
    sequence_number: planned.snapshot["sequence-number"],
  };
}

function unsettledAfter({ files }: TableState, { added, removed }: Replacement, limits: CompactionLimits): number {
  const made = added.map(({ file, spec_id }) => ({
    spec_id,
    partition: file.partition,
    size_bytes: Number(file.file_size_in_bytes),
  }));
  return unsettledBytes([...files.filter(({ location }) => !removed.has(location)), ...made], limits);
}

/** The bins of all partitions. */
function planTable(state: TableState, limits: CompactionLimits): Bin[] {
  const partitions = new Map<string, StoredFile[]>();
  for (const file of state.files) {
    const key = partitionKey(file);
    const files = partitions.get(key);
    if (files === undefined) partitions.set(key, [file]);
    else files.push(file);
  }
  const time = { newest_ms: Number(state.snapshot["timestamp-ms"]), cold_before: coldBefore(state) };
  return [...partitions.values()].flatMap((files) => planPartition(files, limits, partitionState(files, time)));
}

/** How to merge the files of a partition, by the last write times of the table and the partition. */
export function partitionState(
  files: readonly StoredFile[],
  time: { newest_ms: number; cold_before: Long | null },
): PartitionState {
  if (files[0]?.partition.size === 0) return { kind: "sizes" };
  if (files.every((file) => isOlder(file, time.cold_before))) return { kind: "cold" };
  return { kind: "windows", open_window_ms: windowOf(time.newest_ms) };
}

/** The sequence number of the newest snapshot of at least this age; null if there is none. */
function coldBefore({ table: { metadata }, snapshot }: TableState): Long | null {
  const newest_ms = Number(snapshot["timestamp-ms"]);
  const old = metadata.snapshots.filter((candidate) => Number(candidate["timestamp-ms"]) <= newest_ms - COLD_AFTER_MS);
  return old.reduce<Long | null>(
    (most, candidate) => (most === null || candidate["sequence-number"] > most ? candidate["sequence-number"] : most),
    null,
  );
}

function isOlder({ sequence_number, deletes }: StoredFile, limit: Long | null): boolean {
  return limit !== null && sequence_number <= limit && deletes.every((deletion) => deletion.sequence_number <= limit);
}

/** Whether there are many small manifests of one kind, which can be merged. */
function hasManySmallManifests({ manifests }: TableState, fan_in: number): boolean {
  const counts = new Map<string, number>();
  for (const { manifest } of manifests.filter((read) => isSmallManifest(read.manifest))) {
    const kind = `${manifest.partition_spec_id}/${manifest.content}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts.values()].some((count) => count >= 2 * fan_in);
}

function isStillValid(state: TableState, bins: readonly Bin[]): boolean {
  const live = new Map(state.files.map((file) => [file.location, file]));
  return bins.every(({ files, delete_files }) => {
    const applied = new Set(delete_files);
    return files.every(
      ({ location }) => live.get(location)?.deletes.every((deletion) => applied.has(deletion.location)) === true,
    );
  });
}

/** The first bins up to `max_bytes`, and at least one bin. */
function upTo(bins: readonly Bin[], max_bytes: number): Bin[] {
  let size_bytes = 0;
  return bins.filter((bin, index) => {
    size_bytes += sizeOf([bin]);
    return index === 0 || size_bytes <= max_bytes;
  });
}

function sizeOf(bins: readonly Bin[]): number {
  return bins.flatMap(({ files }) => files).reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}

/** The folder of the first file, if it is inside the table's data folder. */
function folderOf({ location }: StoredFile, { metadata }: LoadedTable): string {
  const folder = location.slice(0, location.lastIndexOf("/"));
  return folder.startsWith(`${metadata.location}/`) ? folder : `${metadata.location}/data`;
}

function overtaken(identifier: TableIdentifier): OperatingError {
  return new OperatingError(
    "COMPACTION_OVERTAKEN",
    `Cannot compact ${nameOfTable(identifier)}: another writer changed its files during every attempt`,
    {
      next_step: "Nothing was changed. Try again when fewer records are written.",
    },
  );
}

function invalidTargetSize(stated: string): OperatingError {
  return new OperatingError("INVALID_TARGET_SIZE", `Invalid target file size ${stated}: it must be above 0 bytes`, {
    next_step: "Set --target-size-mb or the table property write.target-file-size-bytes to a positive number.",
  });
}
