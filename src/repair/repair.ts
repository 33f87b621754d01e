import { join } from "node:path";
import type { Catalog } from "../catalog/catalog.ts";
import { startCatalogServer } from "../catalog/server.ts";
import { nameOfTable, tableNamed } from "../iceberg/errors.ts";
import type { Clock } from "../base/clock.ts";
import { openBronzeFiles } from "../duckdb/bronze-files.ts";
import { openParquetWriter } from "../duckdb/parquet.ts";
import { noop, type StepListener } from "../base/failpoints.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { BRONZE_SCHEMA, bronzeColumns } from "../ingest/bronze.ts";
import type { Log } from "../log/log.ts";
import { makeLogFile } from "../log/sqlite/begin-at.ts";
import { openSqliteLog } from "../log/sqlite/log.ts";
import { claimMaintenance } from "../maintain/run.ts";
import { MaintenanceStore } from "../maintain/store.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { logOffsets } from "../transform/offsets.ts";
import { coversOffsets } from "../log/offsets.ts";
import { REBUILT_UP_TO_PROPERTY, rebuiltUpTo } from "../transform/rebuilding.ts";
import { consumedOffsetsOrNone } from "./bronze-plan.ts";
import type { CatalogPlan } from "./catalog-plan.ts";
import { offsetsToReach } from "./models.ts";
import { repairBronze } from "./bronze-repair.ts";
import { renameColumns } from "./columns.ts";
import { repairCatalog } from "./catalog-repair.ts";
import type { RepairItem } from "./item.ts";
import { openCatalog, type RepairedCatalog } from "./open-catalog.ts";
import { damagedFolder, moveDatabaseAside, putInPlace, replaceFile } from "./move-aside.ts";
import { planRepair, type RepairPlan, type RepairScope } from "./plan.ts";
import { stageReset } from "./reset.ts";
import { unreadableSnapshots, type TableState } from "./table-state.ts";

export interface RepairOptions extends RepairScope {
  clock: Clock;
  /** Failpoints of the catalog's commits, also of those that dbt makes afterwards. */
  step?: StepListener;
  /** False for a dry run. */
  is_applied: boolean;
  say(text: string): void;
  /** Rebuilds these tables from bronze; null if the next increments do. */
  rebuild: ((open: RepairedCatalog, tables: readonly string[]) => Promise<void>) | null;
}

/**
 * Finds damage and, with `is_applied`, repairs it. Each step is one atomic change, and a later repair completes an
 * interrupted one. No file is deleted: damaged files stay, or move to `damaged/` if another takes their name. The
 * caller owns the lake. Maintenance, which needs no ownership of the lake, waits: to a plan, its commits and deleted
 * files look like damage. Throws MAINTENANCE_RUNNING.
 */
export async function repair(options: RepairOptions): Promise<RepairItem[]> {
  const claim = claimMaintenance(options.lake, "repair");
  try {
    return await planAndApply(options);
  } finally {
    claim.release();
  }
}

async function planAndApply(options: RepairOptions): Promise<RepairItem[]> {
  const plan = await planRepair(options);
  let failure: string | null;
  try {
    if (!options.is_applied || plan.items.every(({ outcome }) => outcome === "impossible")) return plan.items;
    const failed = await apply(plan, options);
    failure = failed === null ? null : messageOf(failed);
  } finally {
    plan.close();
  }
  const items = plan.items.map((item): RepairItem =>
    item.outcome === "planned" ? { ...item, outcome: "repaired" } : item,
  );
  if (failure === null) return items;
  return [
    ...items,
    {
      table: null,
      file: null,
      problem: `dbt failed: ${failure}`,
      action: "start the pipeline: it continues from there",
      outcome: "impossible",
    },
  ];
}

/** Returns the error of a failed dbt run, null if it succeeded. */
async function apply(plan: RepairPlan, options: RepairOptions): Promise<OperatingError | null> {
  const { lake, storage, clock, pipeline, say } = options;
  const aside = damagedFolder(lake.folder, clock.now_us() / 1000);
  for (const location of plan.files.replaced) {
    say(`restoring ${location}`);
    await replaceFile(storage, location, await plan.files.read(location), { folder: aside, warehouse: lake.warehouse });
  }
  if (plan.catalog !== null) await repairCatalog(lake, plan.catalog, plan.dropped, aside);
  if (plan.log.new_log.size > 0) {
    const made = `${lake.log_file}.repaired`;
    moveDatabaseAside(made, aside);
    makeLogFile(made, pipeline.topic.name, plan.log.new_log);
    moveDatabaseAside(lake.log_file, aside);
    putInPlace(made, lake.log_file);
  }
  if (plan.is_maintenance_damaged) {
    moveDatabaseAside(join(lake.folder, "maintenance.db"), aside);
    new MaintenanceStore(lake.folder).close();
  }
  const { catalog, close } = openCatalog(lake, { storage, clock, step: options.step ?? noop, say });
  try {
    for (const renamed of plan.renamed) await renameColumns(catalog, renamed);
    if (plan.bronze !== null) await mendBronze(plan, options, catalog);
    for (const state of plan.resets) await reset(plan, options, catalog, state);
    if (plan.catalog !== null) await noteWhatIsBehind(plan.catalog, pipeline, catalog);
    const moved = plan.catalog?.pointers.map(({ identifier }) => nameOfTable(identifier)) ?? [];
    const built = [...plan.resets.map(({ table }) => table), ...plan.missing, ...plan.unfinished, ...moved].filter(
      (table) => table !== pipeline.bronze.table,
    );
    if (options.rebuild === null || built.length === 0) return null;
    const server = await startCatalogServer({ catalog, port: 0 });
    try {
      await options.rebuild({ catalog, server }, built);
      return null;
    } catch (error) {
      if (error instanceof OperatingError) return error;
      throw error;
    } finally {
      await server.close();
    }
  } finally {
    await close();
  }
}

async function mendBronze(
  { bronze, files, log: { new_log, bounds } }: RepairPlan,
  options: RepairOptions,
  catalog: Catalog,
): Promise<void> {
  if (bronze === null) return;
  const { lake, storage, s3, clock, pipeline, say } = options;
  const { state, plan } = bronze;
  say(`repairing ${pipeline.bronze.table}`);
  const columns = state === null ? BRONZE_SCHEMA.fields : bronzeColumns(state.loaded);
  const log: Log | null = new_log.size + bounds.length > 0 ? openSqliteLog({ file: lake.log_file }) : null;
  const readers = await openBronzeFiles({ columns, s3 });
  const writer = await openParquetWriter({ storage, s3 });
  try {
    const unreadable = state === null ? [] : await unreadableSnapshots(state, files);
    const parts = {
      catalog,
      storage,
      clock,
      log,
      files: readers,
      writer,
      table: tableNamed(pipeline.bronze.table),
      topic: pipeline.topic.name,
    };
    await repairBronze(parts, state, plan, unreadable);
  } finally {
    writer.close();
    readers.close();
    await log?.close();
  }
}

/** The next increments start at the lowest consumed offsets, which may be those of a table of an earlier version. */
async function noteWhatIsBehind({ pointers }: CatalogPlan, pipeline: Pipeline, catalog: Catalog): Promise<void> {
  const target = await offsetsToReach(catalog, pipeline);
  for (const { identifier, current, next } of pointers) {
    const definition = pipeline.reconciliation.tables[nameOfTable(identifier)];
    if (definition === undefined || definition.is_seed === true || next === null || next.location === current) continue;
    const { metadata } = await catalog.loadTable(identifier);
    const is_noted = coversOffsets(rebuiltUpTo(metadata), target);
    if (is_noted || coversOffsets(consumedOffsetsOrNone(metadata), target)) continue;
    const updates = [{ action: "set-properties", updates: { [REBUILT_UP_TO_PROPERTY]: JSON.stringify(target) } }];
    await catalog.commit([{ identifier, requirements: [], updates }]);
  }
}

async function reset(
  { files }: RepairPlan,
  { storage, clock, say, pipeline }: RepairOptions,
  catalog: Catalog,
  state: TableState,
): Promise<void> {
  say(`removing the rows of ${state.table} to rebuild them`);
  const unreadable = await unreadableSnapshots(state, files);
  const is_seed = pipeline.reconciliation.tables[state.table]?.is_seed === true;
  const partitions = Object.keys(await logOffsets(catalog, pipeline.bronze.table));
  await catalog.commit([await stageReset({ storage, clock }, state.loaded, { unreadable, partitions, is_seed })]);
}
