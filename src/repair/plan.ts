import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { nameOfTable } from "../iceberg/errors.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { openBronzeFiles, type BronzeFiles } from "../duckdb/bronze-files.ts";
import { OperatingError } from "../base/errors.ts";
import { BRONZE_SCHEMA, bronzeColumns } from "../ingest/bronze.ts";
import { lostOffsets } from "../ingest/lost-offsets.ts";
import { countOffsets, formatOffsets } from "../ingest/offset-ranges.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Lake } from "../lake/lake.ts";
import type { BuiltTable, Pipeline } from "../pipeline/definition.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import type { Storage } from "../storage/storage.ts";
import type { BackupPlace } from "../backup/manifest.ts";
import { SqliteChecksums } from "../catalog/sqlite/checksums.ts";
import { openSqliteLog } from "../log/sqlite/log.ts";
import { checkStores } from "../verify/stores.ts";
import { BackupFiles } from "./backup-files.ts";
import { agreedOffsets, offsetsOrNone, planBronze, type BronzePlan, type BronzeReader } from "./bronze-plan.ts";
import { inspectBuilt, isBuilt, isDamaged, problemOf } from "./built-tables.ts";
import { planCatalog, type CatalogPlan, type PlannedPointer } from "./catalog-plan.ts";
import { planColumns, type ColumnsPlan } from "./columns.ts";
import { ACCEPT_LOSS, FROM_BACKUP, impossible, planned, type RepairItem } from "./item.ts";
import { LakeFiles } from "./lake-files.ts";
import { planLog, type LogPlan } from "./log-plan.ts";
import { MetadataVersions, tableOfFile } from "./metadata-versions.ts";
import { inspectTable, type TableState } from "./table-state.ts";
import { itemOfUnfinished, unfinishedTables } from "./unfinished.ts";

export interface RepairScope {
  lake: Lake;
  pipeline: Pipeline;
  storage: Storage;
  s3: S3Settings | null;
  /**
   * One table to read completely or rebuild even without damage; null for all damage.
   */
  table: string | null;
  backup: BackupPlace | null;
  is_loss_accepted: boolean;
  /**
   * Only repairs that need no decision: leftovers of interrupted writes, and damage that can be repaired without loss.
   */
  is_automatic: boolean;
  /** A model or seed with its dependents, by dbt's graph; empty for another name. */
  modelsFrom(table: string): Promise<string[]>;
}

/** All damage of a lake, with the repairs. */
export interface RepairPlan {
  items: RepairItem[];
  files: LakeFiles;
  backup: BackupFiles | null;
  /** Null if the catalog needs no change. */
  catalog: CatalogPlan | null;
  renamed: ColumnsPlan["renamed"];
  /** Tables without readable metadata, which leave the catalog and are rebuilt. */
  dropped: PlannedPointer[];
  log: LogPlan;
  bronze: { state: TableState | null; plan: BronzePlan } | null;
  /** Silver and gold tables to empty and rebuild. */
  resets: TableState[];
  /** Tables of the pipeline that the catalog lacks, which dbt rebuilds. */
  missing: string[];
  /** Tables that an interrupted repair emptied, which dbt rebuilds. */
  unfinished: string[];
  /** The maintenance database, if it is damaged; it holds no data. */
  is_maintenance_damaged: boolean;
  close(): void;
}

const MAINTENANCE_FILE = "maintenance.db";

/** Reads only. Throws TABLE_NOT_FOUND, BACKUP_NOT_FOUND. */
export async function planRepair(scope: RepairScope): Promise<RepairPlan> {
  const { lake, storage } = scope;
  const backup = scope.backup === null ? null : await BackupFiles.open(scope.backup, lake.warehouse);
  const checksums = openChecksums(lake);
  const close = (): void => checksums?.close();
  try {
    const files = await LakeFiles.list(lake.warehouse, { storage, backup, checksums });
    return { ...(await planFrom(scope, files, backup)), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Null if the catalog's file is missing or unreadable. */
function openChecksums({ catalog_file }: Lake): SqliteChecksums | null {
  if (!existsSync(catalog_file) || statSync(catalog_file).size === 0) return null;
  try {
    return new SqliteChecksums(catalog_file, { is_read_only: true });
  } catch {
    // The check of the pointers reports its damage.
    return null;
  }
}

async function planFrom(
  scope: RepairScope,
  files: LakeFiles,
  backup: BackupFiles | null,
): Promise<Omit<RepairPlan, "close">> {
  const { lake, pipeline } = scope;
  const versions = new MetadataVersions(files.storage, files);
  const found = await planCatalog(lake, versions);
  const catalog = scope.is_automatic ? withoutDecisions(found) : found;
  const found_tables = catalog.pointers.flatMap(({ identifier, next }): LoadedTable[] =>
    next === null ? [] : [{ identifier, metadata_location: next.location, metadata: next.metadata }],
  );
  const planner = new Planner(scope, files, backup);
  const columns = scope.is_automatic ? null : planColumns(found_tables, scope.table);
  planner.items.push(...(columns?.items ?? []));
  const tables = columns?.tables ?? found_tables;
  const dropped = await planner.planCatalog(catalog);
  const bronze_table = tables.find(({ identifier }) => nameOfTable(identifier) === pipeline.bronze.table) ?? null;
  const built = await inspectBuilt(tables, files, scope.table);
  // A rebuild reads bronze: a file that cannot be decoded would end it after tables were emptied.
  const does_rebuild = !scope.is_automatic && planner.doesRebuild(built, tables, catalog);
  const is_thorough = scope.table === pipeline.bronze.table || does_rebuild;
  const state = bronze_table === null ? null : await inspectTable(bronze_table, files, { is_thorough });
  const log = planner.planLog(state === null ? new Map<number, number>() : agreedOffsets(state, pipeline.topic.name));
  const is_needed = does_rebuild && state !== null && state.damage.length > 0;
  const bronze = await planner.planBronze(state, log, builtOffsets(tables, scope, log), is_needed);
  const is_whole = bronze === null || bronze.plan.lost.size === 0;
  const has_lost = state !== null && lostOffsets(state.loaded.metadata, pipeline.topic.name).size > 0;
  const resets = await planner.planResets(built, { can_rebuild: (is_whole && !has_lost) || scope.is_loss_accepted });
  const missing = planner.planMissing(catalog);
  const unfinished = planner.planUnfinished(tables, resets);
  planner.planReplacedFiles();
  const is_maintenance_damaged = planner.planStores();
  const is_catalog_right = catalog.damage === null && catalog.pointers.every(isRight) && dropped.length === 0;
  const does_bronze = bronze !== null && (bronze.plan.lost.size === 0 || scope.is_loss_accepted);
  return {
    items: planner.items,
    files,
    backup,
    catalog: is_catalog_right ? null : catalog,
    renamed: columns?.renamed ?? [],
    dropped,
    log,
    bronze: does_bronze ? bronze : null,
    resets,
    missing,
    unfinished,
    is_maintenance_damaged,
  };
}

function isRight({ current, next }: PlannedPointer): boolean {
  return current !== null && (next === null || next.location === current);
}

/**
 * Only a person can decide whether to follow an old catalog, and whether a table was dropped on purpose. A power cut
 * leaves files that cannot be read.
 */
function withoutDecisions(plan: CatalogPlan): CatalogPlan {
  if (plan.damage !== null) return plan;
  const pointers = plan.pointers.filter(({ current }) => current !== null);
  return {
    ...plan,
    pointers: pointers.map((pointer) =>
      pointer.stored === null ? pointer : { ...pointer, next: pointer.stored, problem: null },
    ),
  };
}

type OffsetsByPartition = ReadonlyMap<number, number>;

/**
 * Offsets that silver and gold have consumed, at most up to the end of a readable log: offsets beyond it are an error
 * in the tables.
 */
function builtOffsets(
  tables: readonly LoadedTable[],
  { pipeline: { topic }, table }: RepairScope,
  { bounds }: LogPlan,
): OffsetsByPartition {
  const ends = new Map(bounds.map(({ partition, end }) => [partition, end]));
  const offsets = new Map<number, number>();
  for (const { identifier, metadata } of tables) {
    const name = nameOfTable(identifier);
    if (!isBuilt(name) || name === table) continue;
    for (const [partition, next] of offsetsOrNone(metadata, topic.name)) {
      offsets.set(partition, Math.max(Math.min(next, ends.get(partition) ?? next), offsets.get(partition) ?? 0));
    }
  }
  return offsets;
}

class Planner {
  readonly items: RepairItem[] = [];
  readonly #scope: RepairScope;
  readonly #files: LakeFiles;
  readonly #backup: BackupFiles | null;

  constructor(scope: RepairScope, files: LakeFiles, backup: BackupFiles | null) {
    this.#scope = scope;
    this.#files = files;
    this.#backup = backup;
  }

  #isInScope(table: string): boolean {
    return this.#scope.table === null || this.#scope.table === table;
  }

  /** Returns the tables to remove from the catalog. */
  async planCatalog({ damage, pointers }: CatalogPlan): Promise<PlannedPointer[]> {
    const { lake, pipeline } = this.#scope;
    if (damage !== null && pointers.length > 0) {
      const action = `recreate it with ${pointers.length} tables, each at its newest metadata in the warehouse`;
      this.items.push(planned({ table: null, file: lake.catalog_file, problem: damage, action }));
      return [];
    }
    const dropped: PlannedPointer[] = [];
    for (const pointer of pointers) {
      const { identifier, current, next, problem } = pointer;
      if (problem === null) continue;
      const table = nameOfTable(identifier);
      if (next !== null) {
        const action =
          current === null ? `enter it at version ${next.version}` : `take version ${next.version}: ${next.location}`;
        this.items.push(planned({ table, file: current, problem, action }));
      } else if (
        table === pipeline.bronze.table ||
        (isBuilt(table) && (await this.#scope.modelsFrom(table)).length > 0)
      ) {
        const action =
          table === pipeline.bronze.table
            ? "recreate it from its data files and the log"
            : "rebuild it from bronze with dbt";
        this.items.push(
          planned({ table, file: current, problem: `${problem}, and no earlier version is readable`, action }),
        );
        dropped.push(pointer);
      } else {
        const action = `its content is unknown; give a backup that has it: ${FROM_BACKUP}`;
        this.items.push(
          impossible({ table, file: current, problem: `${problem}, and no earlier version is readable`, action }),
        );
      }
    }
    return dropped;
  }

  planLog(consumed: ReadonlyMap<number, number>): LogPlan {
    const { lake, pipeline, is_loss_accepted, is_automatic } = this.#scope;
    const { topic } = pipeline;
    const plan = planLog(lake, topic.name, topic.partitions, consumed, { is_quick: is_automatic });
    if (plan.damage === null) return plan;
    const begins = [...plan.new_log]
      .map(([partition, begin]) => `${topic.name}/${partition} at offset ${begin}`)
      .join(", ");
    const held = [...consumed].map(([partition, next]) => `${topic.name}/${partition} up to offset ${next}`).join(", ");
    const gone =
      `records that bronze did not have yet are gone with it (bronze has ${held}), and how far each ` +
      "source had been read";
    const item = { table: null, file: lake.log_file, problem: `${plan.damage}: ${gone}` };
    if (is_loss_accepted) {
      this.items.push(
        planned({ ...item, action: `create a log that begins after bronze's consumed offsets: ${begins}` }),
      );
      return plan;
    }
    this.items.push(impossible({ ...item, action: `restore log.db from a copy; or accept the loss: ${ACCEPT_LOSS}` }));
    return { ...plan, new_log: new Map() };
  }

  /**
   * `built` are the offsets that silver and gold have consumed; bronze of an earlier version may have fewer.
   * `is_needed`: a rebuild of another table reads bronze.
   */
  async planBronze(
    state: TableState | null,
    { bounds, new_log }: LogPlan,
    built: OffsetsByPartition,
    is_needed: boolean,
  ): Promise<{ state: TableState | null; plan: BronzePlan } | null> {
    const { pipeline, s3, lake, table } = this.#scope;
    const name = pipeline.bronze.table;
    if (!this.#isInScope(name) && !is_needed) return null;
    const is_thorough = table === name;
    // A lake that was never started has nothing to lose.
    if (state === null && bounds.length + new_log.size + built.size === 0) return null;
    const columns = state === null ? BRONZE_SCHEMA.fields : bronzeColumns(state.loaded);
    const log = is_thorough && bounds.length > 0 ? openSqliteLog({ file: lake.log_file, is_read_only: true }) : null;
    let opened: BronzeFiles | null = null;
    // The engine is started only for damaged lakes.
    const lazily = async (): Promise<BronzeFiles> => (opened ??= await openBronzeFiles({ columns, s3 }));
    try {
      const files: BronzeReader = {
        isReadable: async (location) => (await lazily()).isReadable(location),
        offsetsIn: async (locations, topic, within) => (await lazily()).offsetsIn(locations, topic, within),
        async *records(locations, topic, offsets) {
          yield* (await lazily()).records(locations, topic, offsets);
        },
      };
      const own = new Set(
        state?.manifests.flatMap(({ entries }) => entries.map(({ data_file }) => data_file.file_path)) ?? [],
      );
      const candidates = this.#bronzeCandidates(lake.warehouse, name).filter((location) => !own.has(location));
      const topic = pipeline.topic.name;
      const plan = await planBronze({
        state,
        topic,
        bounds,
        log,
        at_least: [new_log, built],
        files,
        candidates,
        is_thorough,
      });
      if (plan === null) return null;
      this.#describeBronze(name, state, plan);
      return { state, plan };
    } finally {
      (opened as BronzeFiles | null)?.close();
      await log?.close();
    }
  }

  /** Parquet files of every folder of the table, then those of a backup. */
  #bronzeCandidates(warehouse: string, table: string): string[] {
    const parquet = this.#files.all().filter((location) => location.endsWith(".parquet"));
    const own = parquet.flatMap((location) => {
      const found = tableOfFile(location, warehouse);
      return found !== null && nameOfTable(found.identifier) === table ? [{ location, folder: found.folder }] : [];
    });
    const folders = [...new Set(own.map(({ folder }) => folder))];
    return [
      ...own.map(({ location }) => location),
      ...folders.flatMap((folder) => this.#backup?.dataFilesBelow(folder) ?? []),
    ];
  }

  #describeBronze(table: string, state: TableState | null, plan: BronzePlan): void {
    const { pipeline, is_loss_accepted } = this.#scope;
    const topic = pipeline.topic.name;
    const missing = [plan.from_log, plan.from_files, plan.lost].reduce(
      (count, ranges) => count + countOffsets(ranges),
      0,
    );
    const words = (state?.damage ?? []).map(({ kind, file, words: what }) => `${kind} ${file} ${what}`);
    const damage = [...words, ...plan.remarks].join("; ");
    const problem = `${table} lacks ${missing.toLocaleString("en")} records${damage === "" ? "" : `: ${damage}`}`;
    const found = [
      ...(plan.from_log.size > 0 ? [`take ${countOffsets(plan.from_log)} from the log`] : []),
      ...(plan.from_files.size > 0
        ? [`take ${countOffsets(plan.from_files)} from ${plan.sources.length} other data files`]
        : []),
    ];
    const file = state?.damage[0]?.file ?? null;
    if (plan.lost.size === 0) {
      const action = found.join(", ") || "correct the table's metadata; its data files have every record";
      this.items.push(planned({ table, file, problem, action }));
      return;
    }
    const lost = `${countOffsets(plan.lost)} were not found anywhere: ${formatOffsets(topic, plan.lost)}`;
    if (is_loss_accepted) {
      this.items.push(planned({ table, file, problem, action: [...found, `record the loss: ${lost}`].join(", ") }));
    } else {
      const action = [...found, `${lost}; give a backup: ${FROM_BACKUP}; or accept the loss: ${ACCEPT_LOSS}`].join(
        ", ",
      );
      this.items.push(impossible({ table, file, problem, action }));
    }
  }

  /** Whether dbt will build a table from bronze. */
  doesRebuild(built: ReadonlyMap<string, TableState>, tables: readonly LoadedTable[], catalog: CatalogPlan): boolean {
    const { table: wanted, pipeline } = this.#scope;
    const due = [...built].flatMap(([name, state]) => (name === wanted || isDamaged(state) ? [name] : []));
    const rebuilt = [...due, ...unfinishedTables(tables, pipeline), ...this.#missing(catalog)];
    return rebuilt.some((name) => this.#isInScope(name));
  }

  async planResets(
    states: ReadonlyMap<string, TableState>,
    { can_rebuild }: { can_rebuild: boolean },
  ): Promise<TableState[]> {
    const { table: wanted, pipeline, is_automatic } = this.#scope;
    const names = [...states.keys(), pipeline.bronze.table];
    if (wanted !== null && !names.includes(wanted) && !(await this.#isModel(wanted))) throw noSuchTable(wanted, names);
    const chosen = new Map<string, TableState>();
    for (const [name, state] of states) {
      if (!this.#isInScope(name) || (name !== wanted && !isDamaged(state))) continue;
      // Dependents were built while the file was readable, unless its content changed, which only a user can request to
      // repair.
      const followers = is_automatic
        ? []
        : (await this.#scope.modelsFrom(name)).filter((model) => model !== name && states.has(model));
      const item = { table: name, file: state.damage[0]?.file ?? null, problem: problemOf(state) };
      const reason = reasonNotToRebuild(pipeline.reconciliation.tables[name], can_rebuild);
      if (reason !== null) {
        this.items.push(impossible({ ...item, action: reason }));
        continue;
      }
      const with_followers = followers.length === 0 ? "" : `, and its dependents: ${followers.join(", ")}`;
      const action =
        pipeline.reconciliation.tables[name]?.is_seed === true ? "reload its file" : "rebuild it from bronze";
      this.items.push(planned({ ...item, action: `${action}, without reading its rows${with_followers}` }));
      for (const table of [name, ...followers]) {
        const follower = states.get(table);
        if (follower !== undefined && reasonNotToRebuild(pipeline.reconciliation.tables[table], can_rebuild) === null)
          chosen.set(table, follower);
      }
    }
    return [...chosen.values()];
  }

  /** A start builds them by its increments, also those that an increment had not reached when it was killed. */
  planMissing(catalog: CatalogPlan): string[] {
    if (this.#scope.is_automatic) return [];
    const missing = this.#missing(catalog);
    for (const table of missing) {
      const problem = `${table} is missing, and the warehouse has no metadata of it`;
      this.items.push(planned({ table, file: null, problem, action: "rebuild it from bronze with dbt" }));
    }
    return missing;
  }

  /** Missing tables of the pipeline that an earlier increment built. */
  #missing({ pointers }: CatalogPlan): string[] {
    const present = new Set(pointers.map(({ identifier }) => nameOfTable(identifier)));
    const made = Object.keys(this.#scope.pipeline.reconciliation.tables);
    // A lake without increments has no tables yet.
    if (!made.some((table) => present.has(table))) return [];
    return made.filter((table) => !present.has(table) && this.#isInScope(table));
  }

  /** A start completes them by its increments, so an automatic repair leaves them out. */
  planUnfinished(tables: readonly LoadedTable[], resets: readonly TableState[]): string[] {
    if (this.#scope.is_automatic) return [];
    const is_planned = new Set(resets.map(({ table }) => table));
    const found = unfinishedTables(tables, this.#scope.pipeline).filter(
      (table) => this.#isInScope(table) && !is_planned.has(table),
    );
    this.items.push(...found.map(itemOfUnfinished));
    return found;
  }

  /** Checks the files other than catalog and log. Returns whether the maintenance database is damaged. */
  planStores(): boolean {
    const { lake, table } = this.#scope;
    const own = new Set([lake.catalog_file, lake.log_file]);
    const findings = table === null ? checkStores(lake).filter(({ file }) => file !== null && !own.has(file)) : [];
    let is_maintenance_damaged = false;
    for (const { file, message, next_step } of findings) {
      const item = { table: null, file, problem: message };
      if (file !== null && basename(file) === MAINTENANCE_FILE) {
        is_maintenance_damaged = true;
        this.items.push(
          planned({ ...item, action: "create an empty one: it holds only statistics of earlier maintenance runs" }),
        );
      } else this.items.push(impossible({ ...item, action: next_step }));
    }
    return is_maintenance_damaged;
  }

  async #isModel(table: string): Promise<boolean> {
    return (await this.#scope.modelsFrom(table)).length > 0;
  }

  /** Files that the backup has need no other repair. */
  planReplacedFiles(): void {
    for (const location of this.#files.replaced) {
      const found = tableOfFile(location, this.#scope.lake.warehouse);
      const table = found === null ? null : nameOfTable(found.identifier);
      const problem = `${table ?? "the warehouse"}: ${location} is missing or damaged`;
      this.items.push(planned({ table, file: location, problem, action: "replace it by the backup's copy" }));
    }
  }
}

function reasonNotToRebuild(definition: BuiltTable | undefined, can_rebuild: boolean): string | null {
  if (definition === undefined) {
    return `no dbt model builds this table; give a backup that has its files: ${FROM_BACKUP}`;
  }
  if (can_rebuild || definition.is_seed === true) return null;
  return (
    "bronze lacks records that this table may still have: repair bronze first, or accept their loss: " +
    `${ACCEPT_LOSS}`
  );
}

function noSuchTable(table: string, tables: readonly string[]): OperatingError {
  return new OperatingError("TABLE_NOT_FOUND", `Unknown table "${table}" in this lake`, {
    next_step: `Choose a table of ${LAYERS.join(", ")}: ${tables.toSorted().join(", ")}.`,
  });
}
