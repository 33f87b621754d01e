import type { ChecksumStore } from "../catalog/checksums.ts";
import type { LoadedTable, Snapshot, TableMetadata } from "../iceberg/model.ts";
import { nextVersion } from "../catalog/metadata-versions.ts";
import { OperatingError } from "../base/errors.ts";
import { LiveFiles, type LiveFile } from "../iceberg/live-files.ts";
import { readManifest, readManifestList } from "../iceberg/snapshot-files.ts";
import { digestOf } from "../storage/digest.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";
import { tableFinding, REPAIR_LAKE, type Finding } from "./finding.ts";
import type { HeldTable } from "../transform/moment.ts";

export interface FilesToCheck {
  storage: Storage;
  checksums: ChecksumStore | null;
}

/** Checks a table's metadata against its checksum before using it. */
export function checkMetadata(
  { metadata_location }: LoadedTable,
  table: string,
  parts: FilesToCheck,
): Promise<Finding[]> {
  return checkContent(table, metadata_location, "table metadata", parts);
}

/**
 * Checks the files of a table's pinned snapshot, from its manifest list down. Each file must exist in the table's
 * folder with the recorded size; metadata files must also have the committed content. Empty without findings. No engine
 * may read a table with findings, because a damaged manifest may end the process.
 */
export async function checkFiles(
  { table, loaded, snapshot }: HeldTable,
  { storage, checksums }: FilesToCheck,
): Promise<Finding[]> {
  if (snapshot === null) return [];
  const files = await manifestFiles(table, loaded.metadata, snapshot, { storage, checksums });
  if (files.findings.length > 0) return files.findings;
  const findings: Finding[] = [];
  const sizes = await sizesIn(storage, loaded.metadata.location);
  const folder = canonicalLocation(loaded.metadata.location);
  for (const file of files.live) {
    const location = canonicalLocation(file.path);
    const details = { partition: file.partition || null, file: file.path };
    const kind = file.content === 0 ? "data file" : "delete file";
    const size_bytes = sizes.get(location);
    if (!location.startsWith(`${folder}/`)) {
      findings.push(
        tableFinding("FILE_OUTSIDE_TABLE", table, `${table} has a ${kind} outside its folder: ${file.path}`, details),
      );
    } else if (size_bytes === undefined) {
      findings.push(
        tableFinding("FILE_MISSING", table, `${table}: ${kind} ${file.path} (${rowsOf(file)}) is missing`, details),
      );
    } else if (size_bytes !== file.size_bytes) {
      const message = `${table}: ${kind} ${file.path} has ${size_bytes} bytes; its commit recorded ${file.size_bytes}`;
      findings.push(tableFinding("FILE_DAMAGED", table, message, details));
    }
  }
  return findings;
}

function rowsOf({ rows }: LiveFile): string {
  return rows === 1 ? "1 row" : `${rows} rows`;
}

async function manifestFiles(
  table: string,
  metadata: TableMetadata,
  snapshot: Snapshot,
  parts: FilesToCheck,
): Promise<{ findings: Finding[]; live: LiveFile[] }> {
  const list = snapshot["manifest-list"];
  const findings = await checkContent(table, list, "manifest list", parts);
  if (findings.length > 0) return { findings, live: [] };
  const manifests = await readable(table, list, "manifest list", () => readManifestList(parts.storage, snapshot));
  if ("code" in manifests) return { findings: [manifests], live: [] };
  for (const manifest of manifests.value) {
    const { manifest_path, manifest_length } = manifest;
    const damage = await checkContent(table, manifest_path, "manifest", parts, Number(manifest_length));
    const read =
      damage.length > 0
        ? null
        : await readable(table, manifest_path, "manifest", () => readManifest(parts.storage, metadata, manifest));
    findings.push(...damage, ...(read !== null && "code" in read ? [read] : []));
  }
  return { findings, live: findings.length > 0 ? [] : await new LiveFiles(parts.storage).of(metadata, snapshot) };
}

/** The content, or the finding about it. */
async function readable<T>(
  table: string,
  file: string,
  kind: string,
  read: () => Promise<T>,
): Promise<{ value: T } | Finding> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    if (error.code === "FILE_NOT_FOUND")
      return tableFinding("FILE_MISSING", table, `${table}: ${kind} ${file} is missing`, { file });
    return tableFinding("METADATA_DAMAGED", table, `${table}: ${kind} ${file} cannot be read: ${error.message}`, {
      file,
    });
  }
}

/** Metadata files are small: they are read completely, and compared with their checksum where one is recorded. */
async function checkContent(
  table: string,
  file: string,
  kind: string,
  { storage, checksums }: FilesToCheck,
  recorded_bytes?: number,
): Promise<Finding[]> {
  const digest = await readable(table, file, kind, () => digestOf(storage, file));
  if ("code" in digest) return [digest];
  const { size_bytes, sha256 } = digest.value;
  const known = checksums?.get(canonicalLocation(file)) ?? null;
  const expected_bytes = known?.size_bytes ?? recorded_bytes ?? size_bytes;
  if (size_bytes !== expected_bytes) {
    const message = `${table}: ${kind} ${file} has ${size_bytes} bytes; its commit recorded ${expected_bytes}`;
    return [tableFinding("METADATA_DAMAGED", table, message, { file })];
  }
  if (known === null || known.sha256 === sha256) return [];
  const message = `${table}: ${kind} ${file} has changed since its commit: its checksum differs`;
  return [tableFinding("METADATA_DAMAGED", table, message, { file })];
}

/** Sizes by location; one listing serves all files of a table. */
async function sizesIn(storage: Storage, folder: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { location, size_bytes } of storage.list(folder)) sizes.set(canonicalLocation(location), size_bytes);
  return sizes;
}

/**
 * Whether the catalog names the table's newest metadata file. A later version that was committed, or that is several
 * versions ahead, shows that the catalog's file is an old copy or that its pointer was moved back. One version ahead
 * may be the file of a commit in progress, or of an interrupted one.
 */
export async function checkPointer(
  loaded: LoadedTable,
  table: string,
  { storage, checksums }: FilesToCheck,
): Promise<Finding[]> {
  const { metadata, metadata_location } = loaded;
  const current = nextVersion(metadata_location);
  const newer: { location: string; version: number }[] = [];
  for await (const { location } of storage.list(`${metadata.location}/metadata`)) {
    if (!location.endsWith(".metadata.json")) continue;
    const version = nextVersion(location);
    const is_committed = version === current + 1 && checksums?.has(canonicalLocation(location)) === true;
    if (is_committed || version > current + 1) newer.push({ location, version });
  }
  const newest = newer.sort((a, b) => b.version - a.version)[0];
  if (newest === undefined) return [];
  const message =
    `${table}: the catalog names version ${current - 1}, but the folder has version ` +
    `${newest.version - 1}: ${newest.location}`;
  return [tableFinding("CATALOG_OUTDATED", table, message, { file: newest.location, next_step: REPAIR_LAKE })];
}
