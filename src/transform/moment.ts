import { lostOffsets } from "../ingest/lost-offsets.ts";
import { NO_OFFSETS, type OffsetRanges } from "../ingest/offset-ranges.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import {
  LOG_OFFSETS_PROPERTY,
  PARENT_OFFSETS_SUMMARY,
  parseOffsets,
  consumedOffsets,
} from "../iceberg/metadata/log-offsets.ts";
import type { LoadedTable, Snapshot, TableMetadata } from "../iceberg/model.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { MODELS_VERSION_PROPERTY } from "./models-version.ts";
import { leastOf } from "./offsets.ts";

export type LogOffsets = Record<string, number>;

/** A table at the snapshot that is verified. */
export interface HeldTable {
  table: string;
  loaded: LoadedTable;
  /** Null for a table without one. */
  snapshot: Snapshot | null;
}

/** One state of a lake: every table as one finished increment left it. */
export interface Moment {
  tables: ReadonlyMap<string, HeldTable>;
  /** What bronze has consumed of the log; empty where it does not exist, or is damaged. */
  bronze: LogOffsets;
  /** Offsets that bronze has lost, as a person has acknowledged. */
  lost: OffsetRanges;
  /** What every built table has consumed of bronze; empty before the first increment. */
  built: LogOffsets;
  /** Built tables that have consumed more by now, or less; empty between two increments. */
  moving: string[];
  /** Tables of the pipeline that an increment made, and that the catalog does not have. */
  missing: string[];
  /** Tables of the pipeline of which nothing says that they were ever made: the next increment makes them. */
  unmade: string[];
  /** Tables whose metadata is damaged or cannot be read. */
  damaged: string[];
}

/** Tables of the pipeline that the catalog does not have. */
interface AbsentTables {
  /** Those with files. */
  made: readonly string[];
  /** Those without: purged, or not made yet. */
  unmade: readonly string[];
  /** Of the models as they are now; null where only the offsets matter. */
  models_version: string | null;
}

/** Null where the tables have no state in common that is kept. Pure. */
export function chooseMoment(
  tables: readonly LoadedTable[],
  pipeline: Pick<Pipeline, "bronze" | "reconciliation" | "topic">,
  { made, unmade, models_version }: AbsentTables,
): Moment | null {
  const bronze_table = tables.find(({ identifier }) => nameOfTable(identifier) === pipeline.bronze.table);
  const bronze = bronze_table === undefined ? {} : consumedOffsets(bronze_table.metadata);
  const following = tables
    .filter((loaded) => followsLog(loaded, pipeline))
    .map((loaded) => ({ loaded, states: statesOf(loaded.metadata) }));
  const has_increments = new Set(following.flatMap(({ states }) => states.map(({ last }) => keyOf(last)))).size > 1;
  // The first increment is under way, or was cut off.
  if (following.length > 0 && unmade.length > 0 && !has_increments) return null;
  // The first increment of this version makes all of its tables; one of an earlier version did not know all of them.
  const is_this_version = following.some(
    ({ loaded }) => loaded.metadata.properties[MODELS_VERSION_PROPERTY] === models_version,
  );
  const is_complete = has_increments && is_this_version;
  for (const built of candidatesOf(following.map(({ states }) => states))) {
    const held = following.map(({ loaded, states }) => ({
      loaded,
      state: states.findLast((state) => covers(state, built)),
    }));
    if (held.some(({ state }) => state === undefined)) continue;
    const snapshots = new Map(
      held.map(({ loaded, state }) => [nameOfTable(loaded.identifier), state?.snapshot ?? null]),
    );
    return {
      tables: new Map(tables.map((loaded) => heldTable(loaded, snapshots))),
      bronze,
      lost: bronze_table === undefined ? NO_OFFSETS : lostOffsets(bronze_table.metadata, pipeline.topic.name),
      built,
      moving: following
        .filter(({ loaded }) => keyOf(consumedOffsets(loaded.metadata)) !== keyOf(built))
        .map(({ loaded }) => nameOfTable(loaded.identifier)),
      missing: is_complete ? [...made, ...unmade] : [...made],
      unmade: is_complete || bronze_table === undefined ? [] : [...unmade],
      damaged: [],
    };
  }
  return null;
}

function heldTable(loaded: LoadedTable, snapshots: ReadonlyMap<string, Snapshot | null>): [string, HeldTable] {
  const table = nameOfTable(loaded.identifier);
  const snapshot = snapshots.get(table);
  return [table, { table, loaded, snapshot: snapshot === undefined ? currentSnapshot(loaded.metadata) : snapshot }];
}

function isBuilt({ identifier }: LoadedTable): boolean {
  return BUILT_LAYERS.some((layer) => layer === identifier.namespace[0]);
}

/** Whether increments build the table. A seed does not follow the log, nor does a table that somebody else made. */
export function followsLog(loaded: LoadedTable, { reconciliation }: Pick<Pipeline, "reconciliation">): boolean {
  const definition = reconciliation.tables[nameOfTable(loaded.identifier)];
  return isBuilt(loaded) && definition !== undefined && definition.is_seed !== true;
}

/** A snapshot, and the offsets between which it was the table's state. */
interface State {
  snapshot: Snapshot | null;
  first: LogOffsets;
  last: LogOffsets;
}

/**
 * Oldest first. Snapshots of this catalog say the offsets before and after them, Spark's those after them: of these it is known for which
 * offsets they stand at least. Of snapshots that say nothing only the current one is known.
 */
function statesOf(metadata: TableMetadata): State[] {
  const current = currentSnapshot(metadata);
  const head = consumedOffsets(metadata);
  if (current === null) return [{ snapshot: null, first: {}, last: head }];
  const states: State[] = [];
  const by_id = new Map(metadata.snapshots.map((snapshot) => [String(snapshot["snapshot-id"]), snapshot]));
  let last: LogOffsets | null = head;
  for (let snapshot: Snapshot | undefined = current; snapshot !== undefined;) {
    const own: string | undefined = snapshot.summary[LOG_OFFSETS_PROPERTY];
    const before: string | undefined = snapshot.summary[PARENT_OFFSETS_SUMMARY];
    const first: LogOffsets | null = own === undefined ? last : parseOffsets(own);
    if (first === null) break;
    states.unshift({ snapshot, first, last: last ?? first });
    last = before === undefined ? null : parseOffsets(before);
    const parent_id: Snapshot["parent-snapshot-id"] = snapshot["parent-snapshot-id"];
    snapshot = parent_id === undefined ? undefined : by_id.get(String(parent_id));
  }
  return states.filter((state, index) => index === states.length - 1 || isAtMost(state.first, state.last));
}

/** Offsets at which an increment may have ended, the newest first: those that any table's states begin or end with. */
function candidatesOf(tables: readonly State[][]): LogOffsets[] {
  if (tables.length === 0) return [{}];
  const least = leastOf(tables.map((states) => states.at(-1)?.last ?? {}));
  const all = new Map(
    tables
      .flatMap((states) => states.flatMap(({ first, last }) => [first, last]))
      .map((offsets) => [keyOf(offsets), offsets]),
  );
  all.set(keyOf(least), least);
  return [...all.values()].filter((offsets) => isAtMost(offsets, least)).sort((a, b) => sum(b) - sum(a));
}

function covers({ first, last }: State, offsets: LogOffsets): boolean {
  return isAtMost(first, offsets) && isAtMost(offsets, last);
}

export function isAtMost(a: LogOffsets, b: LogOffsets): boolean {
  return Object.entries(a).every(([partition, next]) => next <= (b[partition] ?? 0));
}

function sum(offsets: LogOffsets): number {
  return Object.values(offsets).reduce((total, next) => total + next, 0);
}

export function keyOf(offsets: LogOffsets): string {
  return Object.entries(offsets)
    .map(([name, next]) => `${name}=${next}`)
    .sort()
    .join(",");
}

/** Tables of the pipeline that are not among these. */
export function absentTables(
  names: Iterable<string>,
  { bronze, reconciliation }: Pick<Pipeline, "bronze" | "reconciliation" | "topic">,
): string[] {
  const present = new Set(names);
  return [bronze.table, ...Object.keys(reconciliation.tables)].filter((table) => !present.has(table));
}
