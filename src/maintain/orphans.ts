import { nameOfTable, tableNamed } from "../iceberg/errors.ts";
import type { LoadedTable, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { canonicalLocation } from "../storage/location.ts";
import { deleteOwnFiles, isInFolder } from "../storage/own-files.ts";
import { rejectWithoutOwnership } from "./ownership.ts";
import { figures } from "./expire.ts";
import { emptyReport, type ActionReport, type MaintenanceParts } from "./parts.ts";
import { allFiles } from "./reachable.ts";
import { readCurrent } from "./read-current.ts";
import { tablesOf } from "./tables.ts";

export interface OrphanOptions {
  /** Younger files are kept, because a writer may be about to commit them. */
  older_than_ms?: number;
  /**
   * Orphan files of earlier calls, each with `performance.now()` of its first sighting. If given, only files first seen
   * at least an hour ago are deleted: with the age alone, a machine that wakes after a day of sleep would delete files
   * that its writers are about to commit.
   */
  seen?: Map<string, number>;
  is_dry_run?: boolean;
  progress?(done_files: number, total_files: number): void;
}

/** The maximum time that a writer is expected to need to prepare a commit. */
export const DEFAULT_ORPHAN_AGE_MS = 24 * 3_600_000;
export const MIN_ORPHAN_AGE_MS = 3_600_000;

/**
 * Deletes files in the table's folder that no snapshot, branch, tag, statistics or metadata log of the table names;
 * null where there are none. The folder is listed before the metadata is read, so a file that is committed meanwhile
 * counts as needed. Throws ORPHANS_TOO_YOUNG, TABLES_SHARE_A_FOLDER and the errors of storage and catalog.
 */
export async function removeOrphans(
  parts: MaintenanceParts,
  identifier: TableIdentifier,
  options: OrphanOptions = {},
): Promise<ActionReport | null> {
  const started_ms = performance.now();
  const { catalog, storage, clock, step } = parts;
  const { older_than_ms = DEFAULT_ORPHAN_AGE_MS } = options;
  if (older_than_ms < MIN_ORPHAN_AGE_MS) throw tooYoung(older_than_ms);
  const before_us = clock.now_us() - older_than_ms * 1000;
  const listed = await catalog.loadTable(identifier);
  rejectWithoutOwnership(listed);
  const folder = listed.metadata.location;
  const old: string[] = [];
  for await (const { location, modified_at_us } of storage.list(folder))
    if (modified_at_us < before_us) old.push(location);
  const { table, needed, before } = await readCurrent(catalog, identifier, async (current) => ({
    table: current,
    needed: await allFiles(parts, current.metadata, current.metadata_location),
    before: await figures(parts, current),
  }));
  if (table.metadata.location !== folder) return null;
  await rejectSharedFolder(parts, table);
  const needed_names = new Set([...needed].map(decoded));
  const found = old.filter(
    (location) => isInFolder(location, folder) && !needed_names.has(decoded(canonicalLocation(location))),
  );
  const orphans = options.seen === undefined ? found : seenLongAgo(found, options.seen);
  if (orphans.length === 0) return null;
  step("before orphans");
  if (options.is_dry_run !== true) {
    await deleteOwnFiles(parts, folder, orphans, (done) => {
      step("inside deletion");
      options.progress?.(done, orphans.length);
    });
  }
  const seconds = (performance.now() - started_ms) / 1000;
  return {
    ...emptyReport("orphans", nameOfTable(identifier), before),
    deleted_files: orphans.length,
    seconds,
    is_dry_run: options.is_dry_run ?? false,
  };
}

/** Records new orphans and drops those that no longer exist. */
function seenLongAgo(found: readonly string[], seen: Map<string, number>): string[] {
  const now_ms = performance.now();
  const current = new Set(found);
  for (const location of seen.keys()) if (!current.has(location)) seen.delete(location);
  for (const location of found) if (!seen.has(location)) seen.set(location, now_ms);
  return found.filter((location) => now_ms - (seen.get(location) ?? now_ms) >= MIN_ORPHAN_AGE_MS);
}

/**
 * Decodes percent-encoding. An engine may have stored a file under an encoded name, or may name it in metadata encoded
 * although it is stored decoded. Names that differ only in encoding count as equal, because keeping an orphan is better
 * than deleting a file that a snapshot needs.
 */
function decoded(location: string): string {
  return location.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (encoded) =>
    Buffer.from(encoded.replaceAll("%", ""), "hex").toString("utf8"),
  );
}

/** Throws if another table's files would look like orphans of this one. */
async function rejectSharedFolder({ catalog }: MaintenanceParts, table: LoadedTable): Promise<void> {
  const folder = canonicalLocation(table.metadata.location);
  const own = nameOfTable(table.identifier);
  const siblings = (await catalog.listTables(table.identifier.namespace)).map(nameOfTable);
  for (const name of new Set([...(await tablesOf(catalog)), ...siblings])) {
    if (name === own) continue;
    const other = tableNamed(name);
    const { metadata } = await loadOther(catalog, other, own);
    if (!`${canonicalLocation(metadata.location)}/`.startsWith(`${folder}/`)) continue;
    throw new OperatingError(
      "TABLES_SHARE_A_FOLDER",
      `${nameOfTable(other)} has its files inside the folder of ${nameOfTable(table.identifier)}`,
      {
        next_step: "Delete the orphan files of this table by hand.",
      },
    );
  }
}

/** The files of an unreadable table are unknown, so nothing in the same folder is deleted. */
async function loadOther(catalog: TableCatalog, other: TableIdentifier, own: string): Promise<LoadedTable> {
  try {
    return await catalog.loadTable(other);
  } catch (error) {
    const name = nameOfTable(other);
    throw new OperatingError(
      "TABLE_UNREADABLE",
      `Orphan files of ${own} were kept, because ${name} cannot be read and may share its folder: ${messageOf(error)}`,
      {
        next_step: `Restore the metadata file of ${name} from a copy, or drop that table.`,
        cause: error,
      },
    );
  }
}

function tooYoung(older_than_ms: number): OperatingError {
  return new OperatingError(
    "ORPHANS_TOO_YOUNG",
    `Invalid age ${older_than_ms / 60_000} minutes: files younger than an hour may belong to a commit in progress`,
    {
      next_step: "Set --older-than to at least 0.042 days (one hour).",
    },
  );
}
