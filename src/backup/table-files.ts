import { dirname } from "node:path/posix";
import { allEnded } from "../base/all-ended.ts";
import { parseMetadata } from "../iceberg/metadata/text.ts";
import type { TableMetadata } from "../iceberg/model.ts";
import { readCatalogFile } from "../catalog/sqlite/pointers.ts";
import { filesIn, manifestsIn, statisticsIn } from "../iceberg/relocate.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";
import { sha256 } from "./manifest.ts";
import { pathIn, type Root } from "./roots.ts";

/** A file of a retained snapshot. */
export interface NeededFile {
  location: string;
  /** Null if no metadata states the size. */
  size_bytes: number | null;
}

export interface NeededFiles {
  /** By canonical location. */
  files: Map<string, NeededFile>;
  /** Metadata by `namespace.name`. */
  tables: Map<string, TableMetadata>;
  /** SHA-256 at commit by canonical location; incomplete or empty if the catalog does not have them. */
  checksums: Map<string, string>;
}

const READS_AT_ONCE = 8;
/** Limits of parallel copies, in files and bytes: objects of S3 are held in memory. */
export const COPIES_AT_ONCE = 3;
export const MAX_BYTES_AT_ONCE = 256 * 1024 * 1024;

/**
 * Every file of every retained snapshot in a copy of the catalog. Throws FILE_NOT_FOUND if a snapshot expired
 * meanwhile.
 */
export async function neededFiles(catalog_file: string, storage: Storage, signal: AbortSignal): Promise<NeededFiles> {
  const files = new Map<string, NeededFile>();
  const tables = new Map<string, TableMetadata>();
  const add = (location: string, size_bytes: number | null): void => {
    const key = canonicalLocation(location);
    if (!files.has(key)) files.set(key, { location, size_bytes });
  };
  const { pointers, checksums } = readCatalogFile(catalog_file);
  for (const { namespace, name, metadata_location } of pointers) {
    const metadata = parseMetadata(await storage.read(metadata_location), metadata_location);
    tables.set(`${namespace}.${name}`, metadata);
    add(metadata_location, null);
    for (const location of statisticsIn(metadata)) add(location, null);
    const lists = [...new Set(metadata.snapshots.map((snapshot) => snapshot["manifest-list"]))];
    for (const list of lists) add(list, null);
    const manifests = new Map<string, number>();
    await inGroups(lists, signal, async (list) => {
      for (const { location, size_bytes } of manifestsIn(await storage.read(list))) manifests.set(location, size_bytes);
    });
    for (const [location, size_bytes] of manifests) add(location, size_bytes);
    await inGroups([...manifests.keys()], signal, async (manifest) => {
      for (const { location, size_bytes, is_deleted } of filesIn(await storage.read(manifest)))
        if (!is_deleted) add(location, size_bytes);
    });
  }
  return {
    files,
    tables,
    checksums: new Map((checksums ?? []).map(({ location, sha256: digest }) => [location, digest])),
  };
}

/** The warehouse, and the folders of files outside it. */
export function rootsOf({ files, tables }: NeededFiles, warehouse: string): Root[] {
  const roots: Root[] = [{ from: warehouse, to: "" }];
  const addRoot = (from: string): void => {
    if (pathIn(roots, from) === null)
      roots.push({ from, to: `outside/${sha256(canonicalLocation(from)).slice(0, 12)}` });
  };
  for (const { location } of tables.values()) addRoot(location);
  for (const location of files.keys()) if (pathIn(roots, location) === null) addRoot(dirname(location));
  return roots;
}

export interface Grouping<T> {
  at_once: number;
  /** Limit for groups of more than one item. */
  max_bytes: number;
  sizeOf(item: T): number;
}

const READS: Grouping<unknown> = { at_once: READS_AT_ONCE, max_bytes: Infinity, sizeOf: () => 0 };

export async function inGroups<T>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
  grouping: Grouping<T> = READS,
): Promise<void> {
  for (const group of groupsOf(items, grouping)) {
    signal.throwIfAborted();
    // A caller that tries again must not meet a copy in progress.
    await allEnded(group.map(work));
  }
}

/** Groups items in order. Pure. */
export function groupsOf<T>(items: readonly T[], { at_once, max_bytes, sizeOf }: Grouping<T>): T[][] {
  const groups: T[][] = [];
  let group_bytes = 0;
  for (const item of items) {
    const group = groups.at(-1);
    const size_bytes = sizeOf(item);
    if (group === undefined || group.length === at_once || group_bytes + size_bytes > max_bytes) {
      groups.push([item]);
      group_bytes = size_bytes;
    } else {
      group.push(item);
      group_bytes += size_bytes;
    }
  }
  return groups;
}
