import { nameOfTable } from "../iceberg/errors.ts";
import { isSameLong } from "../iceberg/long.ts";
import {
  LOG_OFFSETS_PROPERTY,
  PARENT_OFFSETS_SUMMARY,
  parseTableOffsets,
  consumedOffsets,
} from "../iceberg/metadata/log-offsets.ts";
import type { LoadedTable, Snapshot, TableCatalog, TableMetadata } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { absentTables, chooseMoment, followsLog, type Moment } from "../transform/moment.ts";
import { canonicalOffsets, coversOffsets, formatOffsets, maxOffsets, type LogOffsets } from "../log/offsets.ts";
import { rebuiltUpTo } from "../transform/rebuilding.ts";
import { tableFinding, REPAIR_LAKE, type Finding } from "./finding.ts";

export interface MomentOptions {
  now_ms(): number;
  wait(ms: number): Promise<void>;
  /** Maximum wait for an increment in progress if no earlier state is retained. */
  timeout_ms: number;
  /** Whether a process writes the lake; otherwise there is no wait. */
  is_running(): boolean;
  /** Findings about a table's metadata. */
  inspect(loaded: LoadedTable, table: string): Promise<Finding[]>;
  /** Version of the current models, see transform/models-version.ts. */
  models_version: string;
  /** Whether files exist of a table that the catalog lacks. */
  wasMade(table: string): Promise<boolean>;
}

const LOOK_MS = 250;

/** Tables at their newest metadata, and separately those with damaged metadata. */
export interface LoadedLake {
  tables: LoadedTable[];
  damaged: { table: string; findings: Finding[] }[];
}

async function loadTables(catalog: TableCatalog, inspect: MomentOptions["inspect"]): Promise<LoadedLake> {
  const loaded: LoadedLake[] = [];
  // From gold to bronze: records move on in between, and no table may seem to be ahead of the one that it reads.
  for (const layer of LAYERS.toReversed())
    if (await catalog.hasNamespace([layer])) loaded.unshift(await loadNamespaces(catalog, [[layer]], inspect));
  return { tables: loaded.flatMap(({ tables }) => tables), damaged: loaded.flatMap(({ damaged }) => damaged) };
}

/** Loads the newest metadata of all tables in the namespaces. */
export async function loadNamespaces(
  catalog: TableCatalog,
  namespaces: readonly (readonly string[])[],
  inspect: MomentOptions["inspect"],
): Promise<LoadedLake> {
  const loaded: LoadedLake = { tables: [], damaged: [] };
  for (const namespace of namespaces) {
    for (const identifier of await catalog.listTables(namespace)) {
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
  return tableFinding(code, table, `${table}: its table metadata cannot be read: ${error.message}`, {
    next_step: REPAIR_LAKE,
  });
}

/** Throws INVALID_OFFSETS. */
function checkOffsets(metadata: TableMetadata): void {
  consumedOffsets(metadata);
  for (const { summary } of metadata.snapshots) {
    for (const name of [LOG_OFFSETS_PROPERTY, PARENT_OFFSETS_SUMMARY]) parseTableOffsets(summary[name]);
  }
}

/**
 * Chooses the newest state at the end of one increment. An increment commits its tables one after the other, and each
 * snapshot states its offsets. Throws MOMENT_NOT_HELD if no common state is retained.
 */
export async function holdMoment(
  catalog: TableCatalog,
  pipeline: Pipeline,
  options: MomentOptions,
): Promise<{ moment: Moment; damage: Finding[] }> {
  const deadline_ms = options.now_ms() + options.timeout_ms;
  let missed = new Set<string>();
  for (;;) {
    const { tables, damaged } = await loadTables(catalog, options.inspect);
    const is_last = options.now_ms() >= deadline_ms || !options.is_running();
    const made: string[] = [];
    const unmade: string[] = [];
    const names = damaged.map(({ table }) => table);
    const present = [...tables.map(({ identifier }) => nameOfTable(identifier)), ...names];
    for (const table of absentTables(present, pipeline)) ((await options.wasMade(table)) ? made : unmade).push(table);
    const moment = chooseMoment(tables, pipeline, { made, unmade, models_version: options.models_version });
    // A table in creation has files before the catalog has it, so the check runs twice on a running lake.
    const is_confirmed = is_last || moment === null || moment.missing.every((table) => missed.has(table));
    if (moment !== null && is_confirmed) {
      return { moment: { ...moment, damaged: names }, damage: damaged.flatMap(({ findings }) => findings) };
    }
    if (is_last) throw notHeld(tables, pipeline, options.is_running());
    missed = new Set(moment?.missing);
    await options.wait(LOOK_MS);
  }
}

/** Whether the snapshot is still part of the table. */
export function isKept(metadata: TableMetadata, { "snapshot-id": id }: Snapshot): boolean {
  return metadata.snapshots.some((snapshot) => isSameLong(snapshot["snapshot-id"], id));
}

function notHeld(tables: readonly LoadedTable[], pipeline: Pipeline, is_running: boolean): OperatingError {
  const built = tables.filter((loaded) => followsLog(loaded, pipeline));
  const offsets = built.map(
    (loaded) => `${nameOfTable(loaded.identifier)}: ${canonicalOffsets(consumedOffsets(loaded.metadata)) || "none"}`,
  );
  const names = new Set(tables.map(({ identifier }) => nameOfTable(identifier)));
  const absent = Object.keys(pipeline.reconciliation.tables)
    .filter((table) => !names.has(table))
    .map((table) => `${table}: not created yet`);
  const lines = [...offsets, ...absent].join("\n");
  return new OperatingError(
    "MOMENT_NOT_HELD",
    `Nothing was verified: no retained snapshots of all tables hold the same offsets. Consumed offsets:\n${lines}`,
    {
      next_step: is_running
        ? "Try again later: an increment is in progress."
        : "Start the pipeline to complete an interrupted increment, then verify again.",
    },
  );
}

/** Partitions in which a table is ahead of bronze; null if there are none. */
export function beyondBronze(table: LoadedTable, bronze: LogOffsets): string | null {
  const consumed = Object.entries(consumedOffsets(table.metadata)).filter(
    ([partition, next]) => next > (bronze[partition] ?? 0),
  );
  return consumed.length === 0
    ? null
    : consumed.map(([partition, next]) => `${partition} up to ${next}, of ${bronze[partition] ?? 0}`).join(", ");
}

/**
 * Describes the first snapshot whose offsets are ahead of its table's property; null if there is none. Spark updates
 * the property after the snapshot.
 */
export function offsetsAhead({ properties, snapshots }: TableMetadata): { snapshot: string; property: string } | null {
  // Earlier snapshots of a table under rebuild are ahead of it.
  const property = maxOffsets(parseTableOffsets(properties[LOG_OFFSETS_PROPERTY]), rebuiltUpTo({ properties }));
  for (const { summary } of snapshots) {
    const own = summary[LOG_OFFSETS_PROPERTY];
    // Only Coinlake's snapshots state both.
    if (own === undefined || summary[PARENT_OFFSETS_SUMMARY] === undefined) continue;
    if (!coversOffsets(property, parseTableOffsets(own))) return { snapshot: own, property: formatOffsets(property) };
  }
  return null;
}
