import { isSameLong } from "../catalog/long.ts";
import { nameOfTable, tableNamed } from "../catalog/errors.ts";
import type { LoadedTable, Long, TableCatalog } from "../catalog/model.ts";
import type { Clock } from "../clock.ts";
import { OperatingError } from "../errors.ts";
import type { Lake } from "../lake/lake.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Maintainer } from "../maintain/maintainer.ts";
import type { ActionName, ActionReport } from "../maintain/parts.ts";
import { DEFAULT_RETENTION, snapshotsToKeep } from "../maintain/retention.ts";
import { claimMaintenance } from "../maintain/run.ts";
import { pause } from "../patience.ts";

export interface ScheduledMaintenance {
  lake: Lake;
  catalog: TableCatalog;
  clock: Clock;
  /** Made for one pass and closed after it, so that nothing of it stays in memory between passes. */
  withMaintainer<T>(work: (maintainer: Maintainer) => Promise<T>, signal: AbortSignal): Promise<T>;
  events: {
    maintained(report: ActionReport): void;
    /** The pipeline goes on: the table is tried again at the next pass. */
    failed(table: string, error: OperatingError): void;
  };
}

/** Looking costs one read of each table's metadata, which the catalog holds in memory. */
const LOOK_MS = 20_000;
/** Commits of a table since it was last compacted: its small files are then enough for one larger one. */
export const COMPACT_AFTER_COMMITS = 8;
/** Snapshots past their time: removing them one by one would cost a commit each. */
const EXPIRE_AFTER_SNAPSHOTS = 8;
/** And so long after the last time whatever the number, so that a table that is written rarely is thinned too. */
const EXPIRE_INTERVAL_US = 30 * 60_000_000;
const ORPHANS_INTERVAL_US = 6 * 3_600_000_000;
/** A table that failed is left alone for so long. */
const PAUSE_AFTER_FAILURE_US = 10 * 60_000_000;

interface TableSchedule {
  /** The snapshot that compaction last looked at, whether or not it found anything to do. */
  compacted_at: Long | null;
  expired_us: number;
  orphans_us: number;
  failed_us: number;
}

/**
 * Keeps the tables of an embedded lake small and fast beside the pipeline that writes them. What is due is told from metadata
 * alone; a pass opens an engine only if a table needs one. Nothing that fails here ends the pipeline.
 */
export class MaintenanceSchedule {
  readonly #options: ScheduledMaintenance;
  readonly #tables = new Map<string, TableSchedule>();

  constructor(options: ScheduledMaintenance) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (await pause(this.#options.clock, LOOK_MS, signal)) await this.pass(signal);
  }

  /** One look at every table, and the work that is due. */
  async pass(signal: AbortSignal): Promise<void> {
    const { lake, catalog, withMaintainer } = this.#options;
    let due: (readonly [string, ActionName[]])[];
    try {
      due = (await this.#due(catalog)).filter(([, actions]) => actions.length > 0);
    } catch (error) {
      return this.#tell("the lake", error);
    }
    if (due.length === 0) return;
    const claim = this.#claim(lake);
    if (claim === null) return;
    try {
      await withMaintainer(async (maintainer) => {
        for (const [table, actions] of due) if (!signal.aborted) await this.#maintain(maintainer, table, actions);
      }, signal);
    } catch (error) {
      this.#tell("the lake", error);
    } finally {
      claim.release();
    }
  }

  /** Null while somebody maintains the lake by hand. */
  #claim(lake: Lake): { release(): void } | null {
    try {
      return claimMaintenance(lake, "start");
    } catch (error) {
      if (error instanceof OperatingError && error.code === "MAINTENANCE_RUNNING") return null;
      throw error;
    }
  }

  async #due(catalog: TableCatalog): Promise<(readonly [string, ActionName[]])[]> {
    const { clock } = this.#options;
    const now_us = clock.now_us();
    const due: (readonly [string, ActionName[]])[] = [];
    for (const layer of LAYERS) {
      if (!(await catalog.hasNamespace([layer]))) continue;
      for (const identifier of await catalog.listTables([layer])) {
        due.push([nameOfTable(identifier), this.#actionsFor(await catalog.loadTable(identifier), now_us)]);
      }
    }
    return due;
  }

  #actionsFor(table: LoadedTable, now_us: number): ActionName[] {
    const schedule = this.#scheduleOf(table, now_us);
    if (now_us - schedule.failed_us < PAUSE_AFTER_FAILURE_US) return [];
    const actions: ActionName[] = [];
    if (commitsSince(table, schedule.compacted_at) >= COMPACT_AFTER_COMMITS) actions.push("compact");
    const { snapshots } = table.metadata;
    const expired = snapshots.length - snapshotsToKeep(table.metadata, DEFAULT_RETENTION, Math.floor(now_us / 1000)).size;
    const is_long_ago = now_us - schedule.expired_us >= EXPIRE_INTERVAL_US;
    if (expired >= EXPIRE_AFTER_SNAPSHOTS || (expired > 0 && is_long_ago)) actions.push("expire");
    if (now_us - schedule.orphans_us >= ORPHANS_INTERVAL_US) actions.push("orphans");
    return actions;
  }

  #scheduleOf({ metadata }: LoadedTable, now_us: number): TableSchedule {
    const key = metadata["table-uuid"];
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const schedule = { compacted_at: null, expired_us: now_us, orphans_us: now_us, failed_us: -Infinity };
    this.#tables.set(key, schedule);
    return schedule;
  }

  async #maintain(maintainer: Maintainer, table: string, actions: readonly ActionName[]): Promise<void> {
    const { catalog, clock, events } = this.#options;
    try {
      for (const report of await maintainer.maintain(table, actions, {})) events.maintained(report);
      const loaded = await catalog.loadTable(tableNamed(table));
      const now_us = clock.now_us();
      const schedule = this.#scheduleOf(loaded, now_us);
      if (actions.includes("compact")) schedule.compacted_at = loaded.metadata["current-snapshot-id"];
      if (actions.includes("expire")) schedule.expired_us = now_us;
      if (actions.includes("orphans")) schedule.orphans_us = now_us;
    } catch (error) {
      await this.#leaveAlone(table);
      this.#tell(table, error);
    }
  }

  async #leaveAlone(table: string): Promise<void> {
    try {
      const loaded = await this.#options.catalog.loadTable(tableNamed(table));
      const now_us = this.#options.clock.now_us();
      this.#scheduleOf(loaded, now_us).failed_us = now_us;
    } catch (error) {
      // A table that is gone needs nothing more.
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  #tell(table: string, error: unknown): void {
    if (!(error instanceof OperatingError)) throw error;
    this.#options.events.failed(table, error);
  }
}

/** Snapshots that came after the given one, or after the newest compaction where none is given. */
function commitsSince({ metadata }: LoadedTable, snapshot_id: Long | null): number {
  const { snapshots } = metadata;
  const last = snapshots.findLastIndex(
    (snapshot) => isSameLong(snapshot["snapshot-id"], snapshot_id) || snapshot.summary["operation"] === "replace",
  );
  return snapshots.length - 1 - last;
}
