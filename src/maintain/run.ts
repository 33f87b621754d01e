import { join } from "node:path";
import { nameOfTable, tableNamed } from "../iceberg/errors.ts";
import type { TableIdentifier } from "../iceberg/model.ts";
import { isoFromMicros } from "../base/clock.ts";
import { OperatingError, UnknownOutcome, messageOf } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import { compactTable, type CompactionOptions } from "./compact.ts";
import { expireTable, type ExpiryOptions } from "./expire.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import { removeOrphans, type OrphanOptions } from "./orphans.ts";
import type { ActionName, ActionReport, MaintenanceParts } from "./parts.ts";
import { allFiles } from "./reachable.ts";
import { readCurrent } from "./read-current.ts";
import type { MaintenanceStore } from "./store.ts";
import { canonicalLocation } from "../storage/location.ts";
import { makeFolder } from "../base/folder.ts";

export interface MaintenanceOptions {
  compact?: CompactionOptions;
  expire?: ExpiryOptions;
  orphans?: OrphanOptions;
}

/** Order of actions: expiry removes files that compaction replaced, and leftovers of expiry are orphans. */
export const ACTIONS: readonly ActionName[] = ["compact", "expire", "orphans"];

/** Claims maintenance of a lake for one process; writers are not blocked. Throws MAINTENANCE_RUNNING. */
export function claimMaintenance(lake: Pick<Lake, "name" | "folder">, activity: string): { release(): void } {
  const folder = join(lake.folder, "maintenance");
  const claim = claimOrNull(folder, activity);
  if (claim !== null) return claim;
  throw new OperatingError(
    "MAINTENANCE_RUNNING",
    `Another process maintains the lake "${lake.name}": ${ownerOf(folder)}`,
    {
      next_step: "Try again in a minute; a run takes seconds, or minutes for large tables.",
    },
  );
}

/** Throws MAINTENANCE_CANNOT_BE_CLAIMED for file system errors. */
function claimOrNull(folder: string, activity: string): { release(): void } | null {
  try {
    makeFolder(folder);
    return claimFolder(folder, activity);
  } catch (error) {
    throw new OperatingError(
      "MAINTENANCE_CANNOT_BE_CLAIMED",
      `Cannot claim the folder ${folder}: ${messageOf(error)}`,
      {
        next_step: "Check its permissions and the free disk space.",
        cause: error,
      },
    );
  }
}

export { tablesOf } from "./tables.ts";

/**
 * Runs actions on one table and records those that changed something. First deletes leftovers of a killed run. A failed
 * action does not stop the others; the first failure is thrown at the end.
 */
export async function maintainTable(
  parts: MaintenanceParts,
  store: MaintenanceStore,
  table: string,
  actions: readonly ActionName[],
  options: MaintenanceOptions = {},
): Promise<ActionReport[]> {
  const identifier = tableNamed(table);
  // A dry run has no claim, so recorded files may belong to a running process.
  if (!isDryRun(options)) await deletePending(parts, identifier);
  const reports: ActionReport[] = [];
  const failures: unknown[] = [];
  for (const action of ACTIONS.filter((candidate) => actions.includes(candidate))) {
    if (parts.signal.aborted) break;
    const started_at = isoFromMicros(parts.clock.now_us());
    try {
      const report = await runAction(parts, identifier, action, options);
      if (report === null) continue;
      if (!report.is_dry_run) store.record(started_at, report);
      reports.push(report);
    } catch (error) {
      // A programming error or a commit of unknown outcome ends the run.
      if (!(error instanceof OperatingError) || error instanceof UnknownOutcome) throw error;
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return reports;
}

function isDryRun({ compact, expire, orphans }: MaintenanceOptions): boolean {
  return [compact, expire, orphans].some((action) => action?.is_dry_run === true);
}

function runAction(
  parts: MaintenanceParts,
  identifier: TableIdentifier,
  action: ActionName,
  options: MaintenanceOptions,
): Promise<ActionReport | null> {
  if (action === "compact") return compactTable(parts, identifier, options.compact);
  if (action === "expire") return expireTable(parts, identifier, options.expire);
  return removeOrphans(parts, identifier, options.orphans);
}

/** Deletes leftovers of a killed run that no snapshot needs. */
async function deletePending(parts: MaintenanceParts, identifier: TableIdentifier): Promise<void> {
  const { catalog, pending } = parts;
  const locations = pending.of(nameOfTable(identifier));
  if (locations.length === 0) return;
  const { metadata, needed } = await readCurrent(catalog, identifier, async ({ metadata, metadata_location }) => ({
    metadata,
    needed: await allFiles(parts, metadata, metadata_location),
  }));
  await deleteOwnFiles(
    parts,
    metadata.location,
    locations.filter((location) => !needed.has(canonicalLocation(location))),
  );
  pending.remove(locations);
}

/** Drops records of tables that no longer exist. */
export function forgetDropped(store: MaintenanceStore, tables: readonly string[]): void {
  for (const table of store.pendingTables()) if (!tables.includes(table)) store.remove(store.of(table));
}
