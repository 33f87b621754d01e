import { nameOfTable } from "../iceberg/errors.ts";
import { canonicalLong, isSameLong } from "../iceberg/long.ts";
import { DESCENT_REQUIREMENT, REFS_REQUIREMENT } from "../iceberg/metadata/requirements.ts";
import type { LoadedTable, Long, Snapshot, TableChange, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { readManifests } from "../iceberg/snapshot-files.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { deleteOwnFiles, isInFolder } from "../storage/own-files.ts";
import { rejectWithoutOwnership } from "./ownership.ts";
import { emptyReport, type ActionReport, type MaintenanceParts, type TableFigures } from "./parts.ts";
import { filesOnlyOf } from "./reachable.ts";
import { readCurrent } from "./read-current.ts";
import { DEFAULT_RETENTION, snapshotsToKeep, type RetentionPolicy } from "./retention.ts";
import { figuresOf } from "./table-state.ts";

export interface ExpiryOptions {
  policy?: RetentionPolicy;
  /** Expires exactly these snapshots instead of applying the policy. Throws SNAPSHOT_NOT_FOUND, SNAPSHOT_IN_USE. */
  snapshot_ids?: readonly Long[];
  is_dry_run?: boolean;
  progress?(done_files: number, total_files: number): void;
}

/** Maximum commit attempts while other writers commit. */
const MAX_ATTEMPTS = 8;

/**
 * Removes snapshots and the files that no other snapshot needs; null where there is nothing to remove. The times at
 * which retained snapshots became current stay known (catalog/metadata/history.ts), although Iceberg's snapshot log
 * loses them. The files are recorded before the commit: if the process is killed, the next run deletes them. Throws
 * EXPIRY_OVERTAKEN and the errors of storage and catalog.
 */
export async function expireTable(
  parts: MaintenanceParts,
  identifier: TableIdentifier,
  options: ExpiryOptions = {},
): Promise<ActionReport | null> {
  const started_ms = performance.now();
  const { catalog, clock, pending, step } = parts;
  const name = nameOfTable(identifier);
  for (let conflicts = 0; conflicts < MAX_ATTEMPTS; conflicts += 1) {
    const now_ms = Math.floor(clock.now_us() / 1000);
    const { table, expired, files, before } = await readCurrent(catalog, identifier, async (current) => {
      rejectWithoutOwnership(current);
      const divided = split(current, options, now_ms);
      return {
        table: current,
        ...divided,
        files: await filesOnlyOf(parts, current.metadata, divided),
        before: await figures(parts, current),
      };
    });
    if (expired.length === 0) return null;
    // Uses the canonical spelling: metadata may use that of another engine.
    const deletable = [...files.keys()].filter((location) => isInFolder(location, table.metadata.location));
    const report = (after: TableFigures): ActionReport => ({
      ...emptyReport("expire", name, before),
      after,
      deleted_files: deletable.length,
      expired_snapshots: expired.length,
      conflicts,
      seconds: (performance.now() - started_ms) / 1000,
      is_dry_run: options.is_dry_run ?? false,
    });
    if (options.is_dry_run === true) return report(before);
    pending.add(name, deletable);
    step("before expiry");
    const committed = await commit(parts, changeOf(table, expired));
    if (committed === null) {
      pending.remove(deletable);
      continue;
    }
    step("after expiry");
    await deleteOwnFiles(parts, table.metadata.location, deletable, (done) => {
      step("inside deletion");
      options.progress?.(done, deletable.length);
    });
    pending.remove(deletable);
    return report(await figures(parts, committed));
  }
  throw new OperatingError(
    "EXPIRY_OVERTAKEN",
    `Cannot expire snapshots of ${name}: other writers changed the table during every attempt`,
    {
      next_step: "Nothing was changed. Try again when fewer records are written.",
    },
  );
}

/**
 * Null if another writer committed first. After UnknownOutcome the files stay recorded, and the next run checks which
 * are needed.
 */
async function commit({ catalog, exclusively }: MaintenanceParts, change: TableChange): Promise<LoadedTable | null> {
  try {
    const [committed] = await exclusively(nameOfTable(change.identifier), () => catalog.commit([change]));
    return committed ?? null;
  } catch (error) {
    if (error instanceof OperatingError && error.code === "COMMIT_CONFLICT") return null;
    throw error;
  }
}

function split(
  { metadata, identifier }: LoadedTable,
  { policy = DEFAULT_RETENTION, snapshot_ids }: ExpiryOptions,
  now_ms: number,
): { expired: Snapshot[]; kept: Snapshot[] } {
  const kept_ids =
    snapshot_ids === undefined ? snapshotsToKeep(metadata, policy, now_ms) : allBut(metadata, identifier, snapshot_ids);
  const isKept = (snapshot: Snapshot): boolean => kept_ids.has(canonicalLong(snapshot["snapshot-id"]));
  return {
    expired: metadata.snapshots.filter((snapshot) => !isKept(snapshot)),
    kept: metadata.snapshots.filter(isKept),
  };
}

function allBut(
  metadata: LoadedTable["metadata"],
  identifier: TableIdentifier,
  snapshot_ids: readonly Long[],
): Set<Long> {
  const kept = new Set(metadata.snapshots.map((snapshot) => canonicalLong(snapshot["snapshot-id"])));
  for (const id of snapshot_ids) {
    const user = Object.entries(metadata.refs).find(([, ref]) => isSameLong(ref["snapshot-id"], id));
    if (user !== undefined) throw inUse(identifier, id, `${user[1].type} ${user[0]}`);
    if (!kept.delete(canonicalLong(id))) throw notFound(identifier, id);
  }
  return kept;
}

function changeOf({ identifier, metadata }: LoadedTable, expired: readonly Snapshot[]): TableChange {
  return {
    identifier,
    requirements: [
      { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
      ...Object.entries(metadata.refs).map(([ref, { "snapshot-id": id }]) =>
        ref === "main"
          ? { type: DESCENT_REQUIREMENT, "snapshot-id": id }
          : { type: "assert-ref-snapshot-id", ref, "snapshot-id": id },
      ),
      { type: REFS_REQUIREMENT, names: Object.keys(metadata.refs) },
    ],
    updates: [{ action: "remove-snapshots", "snapshot-ids": expired.map((snapshot) => snapshot["snapshot-id"]) }],
  };
}

export async function figures({ storage }: MaintenanceParts, table: LoadedTable): Promise<TableFigures> {
  const snapshot = currentSnapshot(table.metadata);
  return figuresOf(table, snapshot === null ? [] : await readManifests(storage, table.metadata, snapshot));
}

function inUse(identifier: TableIdentifier, id: Long, user: string): OperatingError {
  return new OperatingError(
    "SNAPSHOT_IN_USE",
    `Cannot expire snapshot ${id} of ${nameOfTable(identifier)}: ${user} refers to it`,
    {
      next_step: "Remove the reference first, or expire other snapshots.",
    },
  );
}

function notFound(identifier: TableIdentifier, id: Long): OperatingError {
  return new OperatingError("SNAPSHOT_NOT_FOUND", `${nameOfTable(identifier)} has no snapshot ${id}`, {
    next_step: "List the snapshots on the dashboard's Lake page, or query iceberg_snapshots.",
  });
}
