import type { ChecksumStore, FileChecksum } from "../catalog/checksums.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { LiveFiles } from "../iceberg/live-files.ts";
import { readManifestList } from "../iceberg/snapshot-files.ts";
import { digestOf, type FileDigest } from "../storage/digest.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";
import { tableFinding, type Finding } from "./finding.ts";

export interface ChecksumCheck {
  findings: Finding[];
  /** Number of files that equal their checksum. */
  checked: number;
  /** Checksums computed for files that had none. */
  taken: FileChecksum[];
  /** Canonical locations of all files of retained snapshots. */
  needed: Set<string>;
}

export interface ChecksumSources {
  storage: Storage;
  checksums: ChecksumStore | null;
  /** Loads the table again, because an expiry may be in progress. */
  reload(table: LoadedTable): Promise<LoadedTable | null>;
  progress(done: number, total: number): void;
}

interface TableFile {
  location: string;
  kind: string;
  partition: string | null;
}

const SOME = 16;

/** Compares every file of every retained snapshot with the checksum recorded at its commit. */
export async function checkChecksums(tables: readonly LoadedTable[], sources: ChecksumSources): Promise<ChecksumCheck> {
  const result: ChecksumCheck = { findings: [], checked: 0, taken: [], needed: new Set() };
  const work: { table: LoadedTable; files: TableFile[] }[] = [];
  for (const table of tables) work.push({ table, files: await filesOf(table, sources, result.findings) });
  const total = work.reduce((sum, { files }) => sum + files.length, 0);
  let done = 0;
  for (const { table, files } of work) {
    const missing: Finding[] = [];
    for (const file of files) {
      const found = await checkFile(nameOfTable(table.identifier), file, sources, result);
      if (found?.code === "FILE_MISSING") missing.push(found);
      else if (found !== null) result.findings.push(found);
      sources.progress((done += 1), total);
    }
    if (missing.length > 0) result.findings.push(...(await stillMissing(table, missing, sources)));
  }
  return result;
}

async function checkFile(
  table: string,
  { location, kind, partition }: TableFile,
  sources: ChecksumSources,
  result: ChecksumCheck,
): Promise<Finding | null> {
  const { storage, checksums } = sources;
  const key = canonicalLocation(location);
  result.needed.add(key);
  let digest: FileDigest;
  try {
    digest = await digestOf(storage, location);
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    const code = error.code === "FILE_NOT_FOUND" ? "FILE_MISSING" : "FILE_DAMAGED";
    const what = code === "FILE_MISSING" ? "is missing" : `cannot be read: ${error.message}`;
    return tableFinding(code, table, `${table}: ${kind} ${location} ${what}`, { file: location, partition });
  }
  const known = checksums?.get(key) ?? null;
  if (known === null) {
    result.taken.push({ location: key, ...digest, taken_by: "verify" });
    return null;
  }
  if (known.sha256 === digest.sha256) {
    result.checked += 1;
    return null;
  }
  const since = known.taken_by === "commit" ? "its commit" : "an earlier verify --deep";
  const message = `${table}: ${kind} ${location} has changed since ${since}: its checksum differs`;
  return tableFinding("FILE_DAMAGED", table, message, { file: location, partition });
}

/**
 * The files of all snapshots, each once. Unreadable files are findings; files of expired snapshots are not.
 */
async function filesOf(table: LoadedTable, sources: ChecksumSources, findings: Finding[]): Promise<TableFile[]> {
  const { metadata, metadata_location, identifier } = table;
  const name = nameOfTable(identifier);
  const files = new Map<string, TableFile>();
  const add = (location: string, kind: string, partition: string | null = null) => {
    if (!files.has(canonicalLocation(location))) files.set(canonicalLocation(location), { location, kind, partition });
  };
  add(metadata_location, "table metadata");
  const live = new LiveFiles(sources.storage);
  const unread: Finding[] = [];
  for (const snapshot of metadata.snapshots) {
    add(snapshot["manifest-list"], "manifest list");
    try {
      for (const { manifest_path } of await readManifestList(sources.storage, snapshot)) add(manifest_path, "manifest");
      for (const { path, content, partition } of await live.of(metadata, snapshot)) {
        add(path, content === 0 ? "data file" : "delete file", partition || null);
      }
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      const code = error.code === "FILE_NOT_FOUND" ? "FILE_MISSING" : "METADATA_DAMAGED";
      const message = `${name}: snapshot ${snapshot["snapshot-id"]} cannot be read: ${error.message}`;
      unread.push(tableFinding(code, name, message, { file: snapshot["manifest-list"] }));
    }
  }
  if (unread.length > 0) findings.push(...(await stillMissing(table, unread, sources)).slice(0, SOME));
  return [...files.values()];
}

/** Missing files that the table still needs. */
async function stillMissing(
  table: LoadedTable,
  missing: readonly Finding[],
  sources: ChecksumSources,
): Promise<Finding[]> {
  const now = await sources.reload(table);
  if (now === null || now.metadata_location === table.metadata_location) return [...missing];
  const kept = new Set<string>([canonicalLocation(now.metadata_location)]);
  const live = new LiveFiles(sources.storage);
  for (const snapshot of now.metadata.snapshots) {
    kept.add(canonicalLocation(snapshot["manifest-list"]));
    try {
      for (const { manifest_path } of await readManifestList(sources.storage, snapshot))
        kept.add(canonicalLocation(manifest_path));
      for (const { path } of await live.of(now.metadata, snapshot)) kept.add(canonicalLocation(path));
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
    }
  }
  return missing.filter(({ file }) => file === null || kept.has(canonicalLocation(file)));
}
