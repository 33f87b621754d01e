import { createHash } from "node:crypto";
import { OperatingError } from "../base/errors.ts";
import type { LakeDescription } from "../lake/lake.ts";
import { nullIfMissing } from "../storage/missing.ts";
import type { Storage } from "../storage/storage.ts";
import type { Root } from "./roots.ts";

/**
 * A backup's folder:
 *
 *   coinlake-backup.json       the id of the lake
 *   manifests/<number>.json    one per completed run, written last
 *   files/<path>               table files, immutable, by their path below the warehouse
 *   parts/<aa>/<sha256>        chunks of databases and other files, by content; runs share unchanged chunks
 *
 * A manifest has two lines: a header with the SHA-256 of the second line, and the content. A manifest with a wrong
 * checksum was truncated and is ignored, so writing the manifest commits the backup.
 */
export interface BackupManifest {
  format: 1;
  number: number;
  created_at: string;
  lake: LakeDescription & { name: string };
  /** Location of the lake's warehouse when it was backed up. */
  warehouse: string;
  /** Source folders of `files`. */
  roots: Root[];
  /** Databases and other files of the lake's folder. */
  stores: StoredFile[];
  files: TableFile[];
}

export interface Part {
  sha256: string;
  size_bytes: number;
}

export interface StoredFile {
  /** Path below the lake's folder. */
  path: string;
  /** The chunks whose concatenation is the file. */
  parts: Part[];
}

export interface TableFile extends Part {
  /** Path below the warehouse, and below `files/` in a backup. */
  path: string;
}

export interface BackupPlace {
  storage: Storage;
  /** Location of the backup's folder, without a trailing slash. */
  root: string;
}

interface Marker {
  format: 1;
  lake_id: string;
}

const MARKER = "coinlake-backup.json";
const NUMBER_DIGITS = 8;

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function locationOfFile({ root }: BackupPlace, path: string): string {
  return `${root}/files/${path}`;
}

export function locationOfPart({ root }: BackupPlace, { sha256: digest }: Part): string {
  return `${root}/parts/${digest.slice(0, 2)}/${digest}`;
}

export function locationOfManifest({ root }: BackupPlace, number: number): string {
  return `${root}/manifests/${String(number).padStart(NUMBER_DIGITS, "0")}.json`;
}

/** Null if the folder has no backup. Throws BACKUP_UNREADABLE. */
export async function readMarker({ storage, root }: BackupPlace): Promise<Marker | null> {
  const bytes = await nullIfMissing(() => storage.read(`${root}/${MARKER}`));
  if (bytes === null) return null;
  try {
    const marker = JSON.parse(new TextDecoder().decode(bytes)) as Marker;
    if (marker.format === 1 && typeof marker.lake_id === "string") return marker;
  } catch {
    // A truncated marker is reported below.
  }
  throw new OperatingError(
    "BACKUP_UNREADABLE",
    `Cannot read the backup marker ${root}/${MARKER}: it is damaged or of another version`,
    {
      next_step: "Delete the file if the folder has no completed backup, or choose another folder.",
    },
  );
}

export async function writeMarker({ storage, root }: BackupPlace, lake_id: string): Promise<void> {
  await storage.write(`${root}/${MARKER}`, Buffer.from(`${JSON.stringify({ format: 1, lake_id } satisfies Marker)}\n`));
}

/** The numbers of all manifests, complete or not, in ascending order. */
export async function manifestNumbers({ storage, root }: BackupPlace): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { location } of storage.list(`${root}/manifests`)) {
    const digits = /\/(\d+)\.json$/.exec(location)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((a, b) => a - b);
}

/** Null if the manifest is missing, truncated or damaged. */
export async function readManifest(place: BackupPlace, number: number): Promise<BackupManifest | null> {
  const bytes = await nullIfMissing(() => place.storage.read(locationOfManifest(place, number)));
  const [header = "", body = ""] = bytes === null ? [] : new TextDecoder().decode(bytes).split("\n");
  try {
    const { sha256: expected } = JSON.parse(header) as { sha256?: string };
    return expected === sha256(body) ? (JSON.parse(body) as BackupManifest) : null;
  } catch {
    return null;
  }
}

export async function writeManifest(place: BackupPlace, manifest: BackupManifest): Promise<void> {
  const body = JSON.stringify(manifest);
  const header = JSON.stringify({ format: 1, number: manifest.number, sha256: sha256(body) });
  await place.storage.write(locationOfManifest(place, manifest.number), Buffer.from(`${header}\n${body}\n`));
}

/** The newest complete manifests, newest first; at most `count`. */
export async function newestManifests(
  place: BackupPlace,
  numbers: readonly number[],
  count: number,
): Promise<BackupManifest[]> {
  const found: BackupManifest[] = [];
  for (const number of numbers.toReversed()) {
    if (found.length === count) break;
    const manifest = await readManifest(place, number);
    if (manifest !== null) found.push(manifest);
  }
  return found;
}
