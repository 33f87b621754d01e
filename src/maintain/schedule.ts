import { isSameLong } from "../iceberg/long.ts";
import { tableNamed } from "../iceberg/errors.ts";
import type { LoadedTable, Long, TableCatalog } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import type { Maintainer } from "./maintainer.ts";
import type { ActionName, ActionReport } from "./parts.ts";
import { DEFAULT_RETENTION, snapshotsToKeep } from "./retention.ts";
import { claimMaintenance, tablesOf } from "./run.ts";
import { hasPassed } from "../base/pacing.ts";
import { pause } from "../base/retry.ts";
import { Turns } from "../base/turns.ts";

export interface ScheduledMaintenance {
  lake: Pick<Lake, "name" | "folder">;
  catalog: TableCatalog;
  clock: Clock;
  /** Passes of schedules that share it run one at a time. */
  turns?: Turns;
  /** Opened for one pass and closed after it, so that no memory is held between passes. */
  withMaintainer<T>(work: (maintainer: Maintainer) => Promise<T>, signal: AbortSignal): Promise<T>;
  events: {
    maintained(report: ActionReport): void;
    /** The pipeline continues; the next pass retries the table. */
    failed(table: string, error: OperatingError): void;
  };
}

/** Interval between passes; each reads every table's metadata from the catalog's memory. */
const LOOK_MS = 20_000;
/** Commits after which a table is compacted. */
export const COMPACT_AFTER_COMMITS = 8;
/**
 * Delete files after which a table is compacted before it has that many commits. A merge writes one for each data file
 * that it touches: in a dimension whose rows change all the time, the n-th commit after a compaction adds n.
 */
const COMPACT_AFTER_DELETE_FILES = 16;
/** The number of expired snapshots that causes their removal: each removal costs a commit. */
const EXPIRE_AFTER_SNAPSHOTS = 8;
/** Fewer snapshots are removed after this time, so that rarely written tables are covered too. */
const EXPIRE_INTERVAL_MS = 30 * 60_000;
/** Interval between orphan passes: files are deleted at the second pass that finds them. */
const ORPHANS_INTERVAL_MS = 2 * 3_600_000;
/** Backoff after a failure of a table. */
const PAUSE_AFTER_FAILURE_MS = 10 * 60_000;

interface TableSchedule {
  /** The snapshot of the last compaction pass. */
  compacted_at: Long | null;
  expired_us: number;
  orphans_us: number;
  /** Null if the last pass succeeded. */
  failed_us: number | null;
  /** Orphans of earlier passes, with the time of the first. */
  seen_orphans: Map<string, number>;
}

type Due = readonly [table: string, actions: readonly ActionName[]];

/**
 * Maintains the tables of an embedded lake while the pipeline writes them. Determines from metadata which actions are
 * due, and opens an engine only if a table needs one. Failures do not end the pipeline.
 */
export class MaintenanceSchedule {
  readonly #options: ScheduledMaintenance;
  readonly #tables = new Map<string, TableSchedule>();

  constructor(options: ScheduledMaintenance) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, turns = new Turns(1) } = this.#options;
    while (await pause(clock, LOOK_MS, signal)) {
      await turns.take(async () => {
        if (!signal.aborted) await this.pass(signal);
      });
    }
  }

  /** One pass over every table, with the work that is due. */
  async pass(signal: AbortSignal): Promise<void> {
    const { lake, withMaintainer } = this.#options;
    let claim: { release(): void } | null = null;
    try {
      const due = await this.#due();
      if (due.length === 0) return;
      claim = claimUnlessRunning(lake);
      if (claim === null) return;
      await withMaintainer(async (maintainer) => {
        // Listing also drops records of tables that no longer exist.
        await maintainer.tables();
        for (const [table, actions] of due)
          if (!signal.aborted) await this.#maintain(maintainer, table, actions, signal);
      }, signal);
    } catch (error) {
      this.#report("the lake", error, signal);
    } finally {
      claim?.release();
    }
  }

  async #due(): Promise<Due[]> {
    const { catalog, clock } = this.#options;
    const now_us = clock.now_us();
    const tables = await tablesOf(catalog);
    for (const name of this.#tables.keys()) if (!tables.includes(name)) this.#tables.delete(name);
    const due: Due[] = [];
    for (const name of tables) {
      try {
        const actions = this.#actionsFor(name, await catalog.loadTable(tableNamed(name)), now_us);
        if (actions.length > 0) due.push([name, actions]);
      } catch (error) {
        this.#scheduleOf(name, now_us).failed_us = now_us;
        this.#report(name, error);
      }
    }
    return due;
  }

  #actionsFor(name: string, table: LoadedTable, now_us: number): ActionName[] {
    const schedule = this.#scheduleOf(name, now_us);
    if (schedule.failed_us !== null && !hasPassed(now_us - schedule.failed_us, PAUSE_AFTER_FAILURE_MS)) return [];
    const actions: ActionName[] = [];
    const { commits, delete_files } = writtenSince(table, schedule.compacted_at);
    if (commits >= COMPACT_AFTER_COMMITS || delete_files >= COMPACT_AFTER_DELETE_FILES) actions.push("compact");
    const { snapshots } = table.metadata;
    const expired =
      snapshots.length - snapshotsToKeep(table.metadata, DEFAULT_RETENTION, Math.floor(now_us / 1000)).size;
    if (
      expired >= EXPIRE_AFTER_SNAPSHOTS ||
      (expired > 0 && hasPassed(now_us - schedule.expired_us, EXPIRE_INTERVAL_MS))
    )
      actions.push("expire");
    if (hasPassed(now_us - schedule.orphans_us, ORPHANS_INTERVAL_MS)) actions.push("orphans");
    return actions;
  }

  #scheduleOf(name: string, now_us: number): TableSchedule {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const schedule: TableSchedule = {
      compacted_at: null,
      expired_us: now_us,
      orphans_us: now_us,
      failed_us: null,
      seen_orphans: new Map(),
    };
    this.#tables.set(name, schedule);
    return schedule;
  }

  async #maintain(
    maintainer: Maintainer,
    name: string,
    actions: readonly ActionName[],
    signal: AbortSignal,
  ): Promise<void> {
    const { catalog, clock, events } = this.#options;
    const schedule = this.#scheduleOf(name, clock.now_us());
    try {
      const reports = await maintainer.maintain(name, actions, { orphans: { seen: schedule.seen_orphans } });
      for (const report of reports) events.maintained(report);
      const now_us = clock.now_us();
      const { metadata } = await catalog.loadTable(tableNamed(name));
      if (actions.includes("compact")) schedule.compacted_at = metadata["current-snapshot-id"];
      if (actions.includes("expire")) schedule.expired_us = now_us;
      if (actions.includes("orphans")) schedule.orphans_us = now_us;
      schedule.failed_us = null;
    } catch (error) {
      // A conflict with a busy writer needs no backoff.
      const is_lost_race = error instanceof OperatingError && error.code.endsWith("_OVERTAKEN");
      schedule.failed_us = is_lost_race ? null : clock.now_us();
      this.#report(name, error, signal);
    }
  }

  /** An interrupted action did not fail. */
  #report(name: string, error: unknown, signal?: AbortSignal): void {
    if (signal?.aborted === true) return;
    this.#options.events.failed(name, error instanceof OperatingError ? error : unexpected(error));
  }
}

/** Null while another process maintains the lake. Throws MAINTENANCE_CANNOT_BE_CLAIMED. */
function claimUnlessRunning(lake: ScheduledMaintenance["lake"]): { release(): void } | null {
  try {
    return claimMaintenance(lake, "start");
  } catch (error) {
    if (error instanceof OperatingError && error.code === "MAINTENANCE_RUNNING") return null;
    throw error;
  }
}

function unexpected(error: unknown): OperatingError {
  return new OperatingError("MAINTENANCE_FAILED", `Maintenance failed unexpectedly: ${messageOf(error)}`, {
    next_step: "The pipeline continues. Please report this message.",
    cause: error,
  });
}

/** Snapshots after the given one, or after the newest compaction if none is given, and their delete files. */
function writtenSince({ metadata }: LoadedTable, snapshot_id: Long | null): { commits: number; delete_files: number } {
  const { snapshots } = metadata;
  const last = snapshots.findLastIndex(
    (snapshot) => isSameLong(snapshot["snapshot-id"], snapshot_id) || snapshot.summary["operation"] === "replace",
  );
  const written = snapshots.slice(last + 1);
  const added = written.map(({ summary }) => Number(summary["added-delete-files"] ?? 0));
  return { commits: written.length, delete_files: added.reduce((sum, files) => sum + files, 0) };
}
