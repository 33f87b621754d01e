import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { nameOfTable } from "../iceberg/errors.ts";
import type { TableIdentifier, TableMetadata } from "../iceberg/model.ts";
import { messageOf } from "../base/errors.ts";
import { LOG_OFFSETS_PROPERTY } from "../iceberg/metadata/log-offsets.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Lake } from "../lake/lake.ts";
import { folderOf, tableAt, versionOf, type MetadataVersion, type MetadataVersions } from "./metadata-versions.ts";

/** A table's present and correct catalog pointer. */
export interface PlannedPointer {
  identifier: TableIdentifier;
  /** Null if the catalog does not have the table. */
  current: string | null;
  /** The version at `current`; null where it cannot be read. */
  stored: MetadataVersion | null;
  /** Null if no metadata file of the table is readable. */
  next: MetadataVersion | null;
  /** Why the pointer must change; null if it is correct. */
  problem: string | null;
}

export interface CatalogPlan {
  /** Damage of the catalog's file, which then is recreated; null if it is readable. */
  damage: string | null;
  /** The catalog is an old copy: tables have newer versions. */
  is_old: boolean;
  pointers: PlannedPointer[];
}

/** Property of a seed's table with the checksum of its file. */
export const SEED_PROPERTY = "coinlake.seed-sha256";

/** Separator of namespace levels in the catalog's file. */
const SEPARATOR = "\x1f";

/** The correct content of the catalog, derived from the warehouse if the catalog's file is damaged. Read-only. */
export async function planCatalog(lake: Lake, versions: MetadataVersions): Promise<CatalogPlan> {
  const stored = readPointers(lake.catalog_file);
  const newest = await newestTables(lake, versions);
  if ("damage" in stored) {
    const pointers = [...newest.values()].map((table) => ({
      ...table,
      current: null,
      stored: null,
      problem: stored.damage,
    }));
    return { damage: stored.damage, is_old: false, pointers };
  }
  const pointers: PlannedPointer[] = [];
  for (const { identifier, location } of stored.pointers)
    pointers.push(await planPointer(identifier, location, versions));
  const is_old = pointers.some(isOutdated);
  const known = new Set(pointers.map(({ identifier }) => nameOfTable(identifier)));
  for (const [name, { identifier, next }] of newest) {
    if (known.has(name) || !isOwn(next.metadata)) continue;
    pointers.push({
      identifier,
      current: null,
      stored: null,
      next,
      problem: `${name} is missing in the catalog, but its metadata is in the warehouse`,
    });
  }
  return { damage: null, is_old, pointers: is_old ? await adoptNewest(pointers, versions) : pointers };
}

/** Tables by name. If a table had several folders, the one written last. */
async function newestTables(
  lake: Lake,
  versions: MetadataVersions,
): Promise<Map<string, { identifier: TableIdentifier; next: MetadataVersion }>> {
  const tables = new Map<string, { identifier: TableIdentifier; next: MetadataVersion }>();
  for (const folder of versions.folders()) {
    const identifier = tableAt(folder, lake.warehouse);
    const next = identifier === null ? null : await versions.newest(folder);
    if (identifier === null || next === null) continue;
    const known = tables.get(nameOfTable(identifier));
    const is_newer = known === undefined || timeOf(next) > timeOf(known.next);
    if (is_newer) tables.set(nameOfTable(identifier), { identifier, next });
  }
  return tables;
}

function timeOf({ metadata }: MetadataVersion): number {
  return Number(metadata["last-updated-ms"]);
}

/** Only tables that follow the log, and seeds: another program may have dropped its table on purpose. */
function isOwn({ properties }: TableMetadata): boolean {
  return properties[LOG_OFFSETS_PROPERTY] !== undefined || properties[SEED_PROPERTY] !== undefined;
}

async function planPointer(
  identifier: TableIdentifier,
  current: string,
  versions: MetadataVersions,
): Promise<PlannedPointer> {
  const metadata = await versions.read(current);
  if (metadata !== null) {
    const stored = { location: current, version: versionOf(current), metadata };
    return { identifier, current, stored, next: stored, problem: await newerThan(current, versions) };
  }
  const next = await versions.newest(folderOf(current));
  return {
    identifier,
    current,
    stored: null,
    next,
    problem: `${nameOfTable(identifier)}: the metadata file ${current} is missing or unreadable`,
  };
}

/**
 * One version ahead may be the file of an interrupted commit. Several versions ahead, or one ahead of a missing file,
 * were committed.
 */
async function newerThan(current: string, versions: MetadataVersions): Promise<string | null> {
  const newest = await versions.newest(folderOf(current));
  const ahead = newest === null ? 0 : newest.version - versionOf(current);
  if (newest === null || ahead < 1 || (ahead === 1 && !versions.isCommitted(newest.location))) return null;
  return `the catalog names version ${versionOf(current)} of the table, but its folder has version ${newest.version}`;
}

function isOutdated({ current, next, problem }: PlannedPointer): boolean {
  if (current === null || next === null || problem === null) return false;
  return next.location === current || next.version > versionOf(current);
}

async function adoptNewest(pointers: readonly PlannedPointer[], versions: MetadataVersions): Promise<PlannedPointer[]> {
  const adopted: PlannedPointer[] = [];
  for (const pointer of pointers) {
    const newest = pointer.current === null ? null : await versions.newest(folderOf(pointer.current));
    const is_newer = pointer.current !== null && newest !== null && newest.version > versionOf(pointer.current);
    if (!is_newer) adopted.push(pointer);
    else {
      const name = nameOfTable(pointer.identifier);
      const problem =
        `${name}: the catalog names version ${versionOf(pointer.current ?? "")}, but its folder ` +
        `has version ${newest.version}`;
      adopted.push({ ...pointer, next: newest, problem });
    }
  }
  return adopted;
}

type Stored = { damage: string } | { pointers: { identifier: TableIdentifier; location: string }[] };

/** Opens the file read-only: a missing or empty file would otherwise become an empty catalog. */
function readPointers(file: string): Stored {
  const name = basename(file);
  if (!existsSync(file)) return { damage: `${name} is missing` };
  if (statSync(file).size === 0) return { damage: `${name} is empty` };
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    const check = String(Object.values(database.prepare("pragma quick_check(1)").get() ?? {})[0]);
    if (check !== "ok") return { damage: `${name} is damaged: ${check}` };
    const rows = database
      .prepare("select namespace, name, metadata_location from tables order by namespace, name")
      .all();
    const pointers = rows.map((row) => ({
      identifier: { namespace: String(row["namespace"]).split(SEPARATOR), name: String(row["name"]) },
      location: String(row["metadata_location"]),
    }));
    return { pointers };
  } catch (error) {
    return { damage: `${name} cannot be read: ${messageOf(error)}` };
  } finally {
    database?.close();
  }
}

/** Namespaces of a recreated catalog: the layers, and those of its tables. */
export function namespacesOf({ pointers }: CatalogPlan): string[][] {
  const nested = pointers.flatMap(({ identifier: { namespace } }) =>
    namespace.map((_level, index) => namespace.slice(0, index + 1)),
  );
  const all = [...LAYERS.map((layer) => [layer]), ...nested];
  return [...new Map(all.map((namespace) => [namespace.join(SEPARATOR), namespace])).values()].sort(
    (a, b) => a.length - b.length,
  );
}
