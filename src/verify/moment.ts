import { nameOfTable } from "../catalog/errors.ts";
import { isSameLong } from "../catalog/long.ts";
import { LOG_OFFSETS_PROPERTY, PARENT_OFFSETS_SUMMARY, parseOffsets, placeIn } from "../catalog/metadata/log-offsets.ts";
import type { LoadedTable, Snapshot, TableCatalog, TableMetadata } from "../catalog/model.ts";
import { OperatingError } from "../errors.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { BUILT_LAYERS, LAYERS } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { leastOf } from "../transform/offsets.ts";
import { tableFinding, REPAIR_LAKE, type Finding } from "./finding.ts";

type LogOffsets = Record<string, number>;

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
  /** What bronze has consumed of the log. */
  bronze: LogOffsets;
  /** What every built table has consumed of bronze; empty before the first increment. */
  built: LogOffsets;
  /** Built tables that have consumed more by now, or less; empty between two increments. */
  moving: string[];
  /** Tables of the pipeline that the catalog does not have, although an increment has made them. */
  missing: string[];
}

export interface MomentOptions {
  now_ms(): number;
  wait(ms: number): Promise<void>;
  /** How long increments that are under way are waited for, where no earlier state is kept. */
  timeout_ms: number;
  /** Whether a process writes the lake: else nothing is waited for. */
  is_running(): boolean;
  /** What is wrong with a table's metadata. */
  inspect(loaded: LoadedTable, table: string): Promise<Finding[]>;
  /** Whether files of the table are there, although the catalog does not have it. */
  wasMade(table: string): Promise<boolean>;
}

const LOOK_MS = 250;

/** The lake's tables, each as its newest metadata has it; those whose metadata is not to be believed are apart. */
interface LoadedLake {
  tables: LoadedTable[];
  damaged: { table: string; findings: Finding[] }[];
}

async function loadTables(catalog: TableCatalog, inspect: MomentOptions["inspect"]): Promise<LoadedLake> {
  const loaded: LoadedLake = { tables: [], damaged: [] };
  for (const layer of LAYERS) {
    if (!(await catalog.hasNamespace([layer]))) continue;
    for (const identifier of await catalog.listTables([layer])) {
      const name = nameOfTable(identifier);
      try {
        const table = await catalog.loadTable(identifier);
        checkOffsets(table.metadata);
        const findings = await inspect(table, name);
        if (findings.length === 0) loaded.tables.push(table);
        else loaded.damaged.push({ table: name, findings });
      } catch (error) {
        if (!(error instanceof OperatingError)) throw error;
        loaded.damaged.push({ table: name, findings: [unreadableTable(name, error)] });
      }
    }
  }
  return loaded;
}

function unreadableTable(table: string, error: OperatingError): Finding {
  const code = error.code === "FILE_NOT_FOUND" ? "FILE_MISSING" : "METADATA_DAMAGED";
  return tableFinding(code, table, `${table}: its table metadata cannot be read: ${error.message}`, { next_step: REPAIR_LAKE });
}

/** Throws OFFSETS_MALFORMED. */
function checkOffsets(metadata: TableMetadata): void {
  placeIn(metadata);
  for (const { summary } of metadata.snapshots) {
    for (const name of [LOG_OFFSETS_PROPERTY, PARENT_OFFSETS_SUMMARY]) parseOffsets(summary[name]);
  }
}

/**
 * Chooses the newest state that one finished increment left: an increment commits its tables one after the other, and each snapshot says
 * which offsets it holds. Throws MOMENT_NOT_HELD where no state of all tables is kept.
 */
export async function holdMoment(catalog: TableCatalog, pipeline: Pipeline, options: MomentOptions): Promise<{ moment: Moment; damage: Finding[] }> {
  const deadline_ms = options.now_ms() + options.timeout_ms;
  for (;;) {
    const { tables, damaged } = await loadTables(catalog, options.inspect);
    const is_last = options.now_ms() >= deadline_ms || !options.is_running();
    const absent = absentTables({ tables, damaged }, pipeline);
    const made = await Promise.all(absent.map((table) => options.wasMade(table)));
    const moment = chooseMoment(tables, pipeline, { absent, is_gone: made.length > 0 && made.every(Boolean) });
    if (moment !== null) return { moment, damage: damaged.flatMap(({ findings }) => findings) };
    if (is_last) throw notHeld(tables, pipeline);
    await options.wait(LOOK_MS);
  }
}

/** Tables of the pipeline that the catalog does not have. */
function absentTables({ tables, damaged }: LoadedLake, { books }: Pipeline): string[] {
  const present = new Set([...tables.map(({ identifier }) => nameOfTable(identifier)), ...damaged.map(({ table }) => table)]);
  return Object.keys(books.tables).filter((table) => !present.has(table));
}

interface Absence {
  absent: readonly string[];
  /** They were made once, and are not tables that the first increment has yet to make. */
  is_gone: boolean;
}

/** Null where the tables have no state in common that is kept. Pure. */
export function chooseMoment(tables: readonly LoadedTable[], pipeline: Pipeline, { absent, is_gone }: Absence): Moment | null {
  const bronze_table = tables.find(({ identifier }) => nameOfTable(identifier) === pipeline.bronze.table);
  const bronze = bronze_table === undefined ? {} : placeIn(bronze_table.metadata);
  const following = tables
    .filter((loaded) => isBuilt(loaded) && followsLog(loaded, pipeline))
    .map((loaded) => ({ loaded, states: statesOf(loaded.metadata) }));
  const has_increments = new Set(following.flatMap(({ states }) => states.map(({ last }) => keyOf(last)))).size > 1;
  if (following.length > 0 && absent.length > 0 && !has_increments && !is_gone) return null;
  for (const built of candidatesOf(following.map(({ states }) => states))) {
    const held = following.map(({ loaded, states }) => ({ loaded, state: states.findLast((state) => covers(state, built)) }));
    if (held.some(({ state }) => state === undefined)) continue;
    const snapshots = new Map(held.map(({ loaded, state }) => [nameOfTable(loaded.identifier), state?.snapshot ?? null]));
    return {
      tables: new Map(tables.map((loaded) => heldTable(loaded, snapshots))),
      bronze,
      built,
      moving: following.filter(({ loaded }) => keyOf(placeIn(loaded.metadata)) !== keyOf(built)).map(({ loaded }) => nameOfTable(loaded.identifier)),
      missing: following.length === 0 ? [] : [...absent],
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

/** A seed does not, nor does a table that somebody else made. */
function followsLog(loaded: LoadedTable, pipeline: Pipeline): boolean {
  const definition = pipeline.books.tables[nameOfTable(loaded.identifier)];
  return definition !== undefined && definition.is_seed !== true;
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
  const head = placeIn(metadata);
  if (current === null) return [{ snapshot: null, first: {}, last: head }];
  const states: State[] = [];
  const by_id = new Map(metadata.snapshots.map((snapshot) => [String(snapshot["snapshot-id"]), snapshot]));
  let last: LogOffsets | null = head;
  for (let snapshot: Snapshot | undefined = current; snapshot !== undefined; ) {
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
  const all = new Map(tables.flatMap((states) => states.flatMap(({ first, last }) => [first, last])).map((offsets) => [keyOf(offsets), offsets]));
  all.set(keyOf(least), least);
  return [...all.values()].filter((offsets) => isAtMost(offsets, least)).sort((a, b) => sum(b) - sum(a));
}

function covers({ first, last }: State, offsets: LogOffsets): boolean {
  return isAtMost(first, offsets) && isAtMost(offsets, last);
}

function isAtMost(a: LogOffsets, b: LogOffsets): boolean {
  return Object.entries(a).every(([partition, next]) => next <= (b[partition] ?? 0));
}

function sum(offsets: LogOffsets): number {
  return Object.values(offsets).reduce((total, next) => total + next, 0);
}

function keyOf(offsets: LogOffsets): string {
  return Object.entries(offsets).map(([name, next]) => `${name}=${next}`).sort().join(",");
}

/** Whether the snapshot is still part of the table. */
export function isKept(metadata: TableMetadata, { "snapshot-id": id }: Snapshot): boolean {
  return metadata.snapshots.some((snapshot) => isSameLong(snapshot["snapshot-id"], id));
}

function notHeld(tables: readonly LoadedTable[], pipeline: Pipeline): OperatingError {
  const built = tables.filter((loaded) => isBuilt(loaded) && followsLog(loaded, pipeline));
  const offsets = built.map((loaded) => `${nameOfTable(loaded.identifier)}: ${keyOf(placeIn(loaded.metadata)) || "none"}`);
  const names = new Set(tables.map(({ identifier }) => nameOfTable(identifier)));
  const absent = Object.keys(pipeline.books.tables).filter((table) => !names.has(table)).map((table) => `${table}: not made yet`);
  const lines = [...offsets, ...absent].join("\n");
  return new OperatingError("MOMENT_NOT_HELD", `The tables have no state in common that is kept, so nothing was verified. Consumed offsets:\n${lines}`, {
    next_step:
      "Verify again. Where no pipeline runs, an increment was cut off: start the pipeline, each table goes on at its last commit; then verify.",
    is_retryable: true,
  });
}

/** Partitions of which a table has consumed more than bronze has, in words; null where there is none. */
export function beyondBronze(table: LoadedTable, bronze: LogOffsets): string | null {
  const consumed = Object.entries(placeIn(table.metadata)).filter(([partition, next]) => next > (bronze[partition] ?? 0));
  return consumed.length === 0 ? null : consumed.map(([partition, next]) => `${partition} up to ${next}, of ${bronze[partition] ?? 0}`).join(", ");
}

/** The offsets of a snapshot that is ahead of its table's property, in words; null where none is. Spark's property follows later. */
export function offsetsAhead({ properties, snapshots }: TableMetadata): { snapshot: string; property: string } | null {
  const property = parseOffsets(properties[LOG_OFFSETS_PROPERTY]);
  for (const { summary } of snapshots) {
    const own = summary[LOG_OFFSETS_PROPERTY];
    // Only the catalog's own records say both.
    if (own === undefined || summary[PARENT_OFFSETS_SUMMARY] === undefined) continue;
    if (!isAtMost(parseOffsets(own), property)) return { snapshot: own, property: JSON.stringify(property) };
  }
  return null;
}
