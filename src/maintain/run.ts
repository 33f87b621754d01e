import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { nameOfTable, tableNamed } from "../catalog/errors.ts";
import type { TableIdentifier } from "../catalog/model.ts";
import { isoFromMicros } from "../clock.ts";
import { OperatingError, UnknownOutcome } from "../errors.ts";
import type { Lake } from "../lake/lake.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import { compactTable, type CompactionOptions } from "./compact.ts";
import { expireTable, type ExpiryOptions } from "./expire.ts";
import { deleteFiles, isInFolder } from "./files.ts";
import { removeOrphans, type OrphanOptions } from "./orphans.ts";
import type { ActionName, ActionReport, MaintenanceParts } from "./parts.ts";
import { allFiles } from "./reachable.ts";
import { readCurrent } from "./read-current.ts";
import type { MaintenanceStore } from "./store.ts";
import { canonicalLocation } from "../storage/location.ts";

export interface MaintenanceOptions {
  compact?: CompactionOptions;
  expire?: ExpiryOptions;
  orphans?: OrphanOptions;
}

/** In this order: what compaction replaced can be expired, and what expiry left behind is an orphan. */
export const ACTIONS: readonly ActionName[] = ["compact", "expire", "orphans"];

/** One process maintains a lake at a time; it never keeps others from writing. Throws MAINTENANCE_RUNNING. */
export function claimMaintenance(lake: Lake, activity: string): { release(): void } {
  const folder = join(lake.folder, "maintenance");
  mkdirSync(folder, { recursive: true });
  const claim = claimFolder(folder, activity);
  if (claim !== null) return claim;
  throw new OperatingError("MAINTENANCE_RUNNING", `The lake "${lake.name}" is being maintained by ${ownerOf(folder)}`, {
    next_step: "Try again in a minute: a run takes seconds, or minutes where much has to be put together.",
    is_retryable: true,
  });
}

export { tablesOf } from "./tables.ts";

/**
 * Runs actions on one table and records each that did something. Files that an earlier run was killed over are deleted first.
 * Null reports are left out. An action that fails keeps none of the others from being done: the first failure is thrown after them.
 */
export async function maintainTable(parts: MaintenanceParts, store: MaintenanceStore, table: string, actions: readonly ActionName[], options: MaintenanceOptions = {}): Promise<ActionReport[]> {
  const identifier = tableNamed(table);
  await deletePending(parts, identifier);
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
      // A programmer's error, or a commit whose outcome is not known yet: nothing is built on that.
      if (!(error instanceof OperatingError) || error instanceof UnknownOutcome) throw error;
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return reports;
}

function runAction(parts: MaintenanceParts, identifier: TableIdentifier, action: ActionName, options: MaintenanceOptions): Promise<ActionReport | null> {
  if (action === "compact") return compactTable(parts, identifier, options.compact);
  if (action === "expire") return expireTable(parts, identifier, options.expire);
  return removeOrphans(parts, identifier, options.orphans);
}

/** Files that a killed run had written and not committed, or expired and not deleted: those that no snapshot needs go. */
async function deletePending({ catalog, storage, pending }: MaintenanceParts, identifier: TableIdentifier): Promise<void> {
  const locations = pending.of(nameOfTable(identifier));
  if (locations.length === 0) return;
  const { metadata, needed } = await readCurrent(catalog, identifier, async ({ metadata, metadata_location }) => ({
    metadata,
    needed: await allFiles(storage, metadata, metadata_location),
  }));
  await deleteFiles(storage, locations.filter((location) => isInFolder(location, metadata.location) && !needed.has(canonicalLocation(location))));
  pending.remove(locations);
}

/** Notes about tables that are gone: their files went with them, or are nobody's to delete. */
export function forgetDropped(store: MaintenanceStore, tables: readonly string[]): void {
  for (const table of store.pendingTables()) if (!tables.includes(table)) store.remove(store.of(table));
}
