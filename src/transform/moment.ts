import { lostOffsets } from "../ingest/lost-offsets.ts";
import { NO_OFFSETS, type OffsetRanges } from "../ingest/offset-ranges.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import {
  LOG_OFFSETS_PROPERTY,
  PARENT_OFFSETS_SUMMARY,
  parseTableOffsets,
  consumedOffsets,
} from "../iceberg/metadata/log-offsets.ts";
import type { LoadedTable, Snapshot, TableMetadata } from "../iceberg/model.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { MODELS_VERSION_PROPERTY } from "./models-version.ts";
import {
  canonicalOffsets,
  coversOffsets,
  equalOffsets,
  minOffsets,
  totalOffset,
  type LogOffsets,
} from "../log/offsets.ts";

/** A table with the snapshot that is verified. */
export interface HeldTable {
  table: string;
  loaded: LoadedTable;
  /** Null for a table without a snapshot. */
  snapshot: Snapshot | null;
}

/** A consistent state of a lake: every table as one finished increment left it. */
export interface Moment {
  tables: ReadonlyMap<string, HeldTable>;
  /** The offsets that bronze has consumed; none where it does not exist or is damaged. */
  bronze: LogOffsets;
  /** The lost offsets of bronze that a person has acknowledged. */
  lost: OffsetRanges;
  /** The offsets that every built table has consumed; none before the first increment. */
  built: LogOffsets;
  /** Built tables whose current offsets differ from `built`; empty between two increments. */
  moving: string[];
  /** Tables of the pipeline that an increment created and that the catalog lacks. */
  missing: string[];
  /** Tables of the pipeline that were probably never created; the next increment creates them. */
  unmade: string[];
  /** Tables whose metadata is damaged or cannot be read. */
  damaged: string[];
}

/** Tables of the pipeline that the catalog lacks. */
interface AbsentTables {
  /** Tables with files in the warehouse. */
  made: readonly string[];
  /** Tables without files: purged, or not created yet. */
  unmade: readonly string[];
  /** The version of the current models; null where only offsets matter. */
  models_version: string | null;
}

/** The newest state that all tables still keep; null where there is none. Pure. */
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
  const has_increments =
    new Set(following.flatMap(({ states }) => states.map(({ last }) => canonicalOffsets(last)))).size > 1;
  // The first increment is in progress or was interrupted.
  if (following.length > 0 && unmade.length > 0 && !has_increments) return null;
  // The first increment of this version creates all of its tables; an earlier version did not know all of them.
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
        .filter(({ loaded }) => !equalOffsets(consumedOffsets(loaded.metadata), built))
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

/** Whether increments build the table. Seeds and foreign tables do not follow the log. */
export function followsLog(loaded: LoadedTable, { reconciliation }: Pick<Pipeline, "reconciliation">): boolean {
  const definition = reconciliation.tables[nameOfTable(loaded.identifier)];
  return isBuilt(loaded) && definition !== undefined && definition.is_seed !== true;
}

/** A snapshot, and the range of offsets in which it was the table's state. */
interface State {
  snapshot: Snapshot | null;
  first: LogOffsets;
  last: LogOffsets;
}

/**
 * The states of a table, oldest first. This catalog's snapshots record the offsets before and after them. Spark's
 * record only those after them, so their states are known for those offsets, and may hold for later ones. Of snapshots
 * that record no offsets, only the current one's are known.
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
    const first: LogOffsets | null = own === undefined ? last : parseTableOffsets(own);
    if (first === null) break;
    states.unshift({ snapshot, first, last: last ?? first });
    last = before === undefined ? null : parseTableOffsets(before);
    const parent_id: Snapshot["parent-snapshot-id"] = snapshot["parent-snapshot-id"];
    snapshot = parent_id === undefined ? undefined : by_id.get(String(parent_id));
  }
  return states.filter((state, index) => index === states.length - 1 || coversOffsets(state.last, state.first));
}

/** Offsets at which an increment may have ended, newest first: the first and last offsets of every table's states. */
function candidatesOf(tables: readonly State[][]): LogOffsets[] {
  if (tables.length === 0) return [{}];
  const least = minOffsets(tables.map((states) => states.at(-1)?.last ?? {}));
  const all = new Map(
    tables
      .flatMap((states) => states.flatMap(({ first, last }) => [first, last]))
      .map((offsets) => [canonicalOffsets(offsets), offsets]),
  );
  all.set(canonicalOffsets(least), least);
  return [...all.values()]
    .filter((offsets) => coversOffsets(least, offsets))
    .sort((a, b) => totalOffset(b) - totalOffset(a));
}

function covers({ first, last }: State, offsets: LogOffsets): boolean {
  return coversOffsets(offsets, first) && coversOffsets(last, offsets);
}

/** Tables of the pipeline that `names` lacks. */
export function absentTables(
  names: Iterable<string>,
  { bronze, reconciliation }: Pick<Pipeline, "bronze" | "reconciliation" | "topic">,
): string[] {
  const present = new Set(names);
  return [bronze.table, ...Object.keys(reconciliation.tables)].filter((table) => !present.has(table));
}
