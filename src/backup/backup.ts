import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { isoFromMicros } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { Lake, LakeDescription } from "../lake/lake.ts";
import { isOwned } from "../lake/ownership.ts";
import { claimMaintenance } from "../maintain/run.ts";
import { pause } from "../base/retry.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { StepListener } from "../base/failpoints.ts";
import { digestOf } from "../storage/digest.ts";
import { canonicalLocation } from "../storage/location.ts";
import { isMissing } from "../storage/missing.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import {
  locationOfFile,
  locationOfManifest,
  locationOfPart,
  manifestNumbers,
  newestManifests,
  readMarker,
  sha256,
  writeManifest,
  writeMarker,
  type BackupManifest,
  type BackupPlace,
  type Part,
  type StoredFile,
  type TableFile,
} from "./manifest.ts";
import { isBetweenIncrements, logCoversRest } from "./consistency.ts";
import { CheckedFile } from "./checked-file.ts";
import { pathIn, type Root } from "./roots.ts";
import { copyDatabase, filesOfLake } from "./stores.ts";
import {
  COPIES_AT_ONCE,
  inGroups,
  MAX_BYTES_AT_ONCE,
  neededFiles,
  rootsOf,
  type NeededFile,
  type NeededFiles,
} from "./table-files.ts";
import { makeFolder } from "../base/folder.ts";

export interface BackupRequest {
  lake: Lake;
  description: LakeDescription;
  /** Storage of the lake's tables. */
  storage: Storage;
  target: BackupPlace;
  /** Folder for temporary copies of databases; created and removed. */
  scratch: string;
  /** Names the table that copies the log, and the tables that an increment changes together. */
  pipeline: Pick<Pipeline, "bronze" | "topic" | "reconciliation">;
  clock: Clock;
  step: StepListener;
  signal: AbortSignal;
  progress?(done_files: number, total_files: number): void;
}

export interface BackupReport {
  number: number;
  tables: number;
  files: number;
  size_bytes: number;
  /** Files that earlier backups did not have. */
  copied_files: number;
  copied_bytes: number;
  copied_parts: number;
  /**
   * Whether all tables are at the end of the same increment. Otherwise the backup was taken during an increment, which
   * the first `start` of the restored lake completes.
   */
  is_between_increments: boolean;
  /** Number of attempts: the lake may change during a copy, which then starts again. */
  attempts: number;
}

/** Number of backups retained. */
const KEPT_BACKUPS = 2;
/** Maintenance is locked out from the second attempt on, so that snapshots rarely expire during a copy. */
const MAX_ATTEMPTS = 6;
const CLAIM_RETRY_MS = 250;
/** Longest increment expected on a busy machine; after this time the backup is taken during an increment. */
const BETWEEN_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 100;
/** Size of database chunks. Pages keep their positions, so the next backup reuses most chunks of a log. */
const PART_BYTES = 8 * 1024 * 1024;

/**
 * Copies the lake into the target while the lake is written. The order makes the copy consistent: first the catalog,
 * then every file of every snapshot in that catalog, then the log, which must still begin at or before the offsets that
 * the copied bronze has consumed. If a file expired or the log was pruned meanwhile, the catalog is copied again, with
 * only the new files. Earlier backups remain unchanged. Throws BACKUP_OF_ANOTHER_LAKE, BACKUP_TARGET_NOT_EMPTY,
 * BACKUP_OVERTAKEN, TABLE_FILE_MISSING, TABLE_FILE_DAMAGED, DATABASE_NOT_COPIED, errors of the storages, and the
 * signal's reason once it aborts.
 */
export async function backUp(request: BackupRequest): Promise<BackupReport> {
  await checkTarget(request.target, request.lake);
  const run = new BackupRun(request);
  makeFolder(request.scratch);
  const scratch = mkdtempSync(join(request.scratch, "copying-"));
  try {
    return await run.all(scratch);
  } finally {
    run.releaseMaintenance();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * Checks the target without writing to it. Throws BACKUP_OF_ANOTHER_LAKE, BACKUP_TARGET_NOT_EMPTY, BACKUP_UNREADABLE.
 */
export async function checkTarget(target: BackupPlace, lake: Lake): Promise<void> {
  const marker = await readMarker(target);
  if (marker !== null) {
    if (marker.lake_id !== idOf(lake)) throw anotherLake(target.root, lake);
    return;
  }
  for await (const { location } of target.storage.list(target.root)) {
    // A killed first run may have created only these files.
    if (!/\/owner\.(?:db(?:-journal)?|txt)$/.test(location)) throw targetNotEmpty(target.root);
  }
}

class BackupRun {
  readonly #request: BackupRequest;
  /** Files of complete backups, by path. */
  readonly #known = new Map<string, TableFile>();
  readonly #known_parts = new Set<string>();
  /** Sizes of the target's files, by location. */
  readonly #present = new Map<string, number>();
  readonly #copied = { files: 0, bytes: 0, parts: 0 };
  #maintenance: { release(): void } | null = null;

  constructor(request: BackupRequest) {
    this.#request = request;
  }

  async all(scratch: string): Promise<BackupReport> {
    const { target, step, signal } = this.#request;
    const numbers = await this.#openTarget();
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      if (attempt === 2) this.#maintenance = await this.#claimMaintenance();
      const taken = await this.#attempt(scratch, attempt);
      if (taken === null) continue;
      const manifest = this.#manifest((numbers.at(-1) ?? 0) + 1, taken);
      step("before manifest");
      await writeManifest(target, manifest);
      step("after manifest");
      this.releaseMaintenance();
      await this.#removeOld([...numbers, manifest.number], manifest);
      const { files, bytes, parts } = this.#copied;
      return {
        number: manifest.number,
        tables: taken.needed.tables.size,
        files: manifest.files.length,
        size_bytes: [...manifest.files, ...manifest.stores.flatMap((store) => store.parts)].reduce(
          (sum, { size_bytes }) => sum + size_bytes,
          0,
        ),
        copied_files: files,
        copied_bytes: bytes,
        copied_parts: parts,
        is_between_increments: taken.is_between_increments,
        attempts: attempt,
      };
    }
  }

  releaseMaintenance(): void {
    this.#maintenance?.release();
    this.#maintenance = null;
  }

  /** Returns the numbers of the existing manifests. */
  async #openTarget(): Promise<number[]> {
    const { target, lake } = this.#request;
    for await (const { location, size_bytes } of target.storage.list(target.root))
      this.#present.set(location, size_bytes);
    if ((await readMarker(target)) === null) await writeMarker(target, idOf(lake));
    const numbers = await manifestNumbers(target);
    for (const { files, stores } of await newestManifests(target, numbers, KEPT_BACKUPS)) {
      for (const file of files) if (!this.#known.has(file.path)) this.#known.set(file.path, file);
      for (const { sha256: digest } of stores.flatMap(({ parts }) => parts)) this.#known_parts.add(digest);
    }
    return numbers;
  }

  /** Null if the lake changed during the attempt. */
  async #attempt(scratch: string, attempt: number): Promise<Taken | null> {
    const { lake, storage, signal, step, pipeline } = this.#request;
    const { databases, others } = filesOfLake(lake.folder);
    for (const name of ["catalog.db", "log.db"]) if (!databases.includes(name)) throw databaseMissing(lake, name);
    const copyOf = (name: string): string => join(scratch, name.replaceAll("/", "_"));
    try {
      step("before stores");
      const is_between_increments = await this.#copyCatalog(copyOf("catalog.db"));
      const needed = await neededFiles(copyOf("catalog.db"), storage, signal);
      const roots = rootsOf(needed, lake.warehouse);
      const files = await this.#copyFiles(needed, roots);
      const stores: StoredFile[] = [];
      // The log comes last, so that it has every record that the alerts evaluated and that bronze lacks.
      for (const name of databases) {
        signal.throwIfAborted();
        if (name !== "catalog.db") await copyFresh(join(lake.folder, name), copyOf(name));
        if (
          name === "log.db" &&
          !logCoversRest(copyOf(name), needed.tables.get(pipeline.bronze.table), pipeline.topic.name)
        )
          return this.#overtaken(attempt, "the log was pruned");
        stores.push({ path: name, parts: await this.#storeParts(copyOf(name)) });
      }
      for (const path of others) {
        const parts = await this.#storeParts(join(lake.folder, path)).catch(unlessGone);
        if (parts !== null) stores.push({ path, parts });
      }
      step("after stores");
      return { is_between_increments, needed, roots, files, stores };
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (attempt >= MAX_ATTEMPTS) throw fileMissing(error);
      return null;
    }
  }

  /**
   * An increment commits its tables one after the other, within seconds. While a process writes the lake, this waits
   * for a copy taken between two increments. Returns whether it got one.
   */
  async #copyCatalog(to: string): Promise<boolean> {
    const { lake, storage, pipeline, clock, signal } = this.#request;
    const started_ms = performance.now();
    for (;;) {
      await copyFresh(lake.catalog_file, to);
      if (await isBetweenIncrements(to, storage, pipeline)) return true;
      if (!isOwned(lake) || performance.now() - started_ms > BETWEEN_TIMEOUT_MS) return false;
      if (!(await pause(clock, POLL_INTERVAL_MS, signal))) signal.throwIfAborted();
    }
  }

  #overtaken(attempt: number, why: string): null {
    if (attempt < MAX_ATTEMPTS) return null;
    throw new OperatingError(
      "BACKUP_OVERTAKEN",
      `The backup failed after ${attempt} attempts: ${why} before it was copied`,
      {
        next_step: "Try again when fewer records are written; earlier backups are unchanged.",
      },
    );
  }

  async #copyFiles({ files, checksums }: NeededFiles, roots: readonly Root[]): Promise<TableFile[]> {
    const { signal, progress } = this.#request;
    const copied: TableFile[] = [];
    progress?.(0, files.size);
    await inGroups(
      [...files.values()],
      signal,
      async (file) => {
        copied.push(await this.#copyFile(file, roots, checksums.get(canonicalLocation(file.location))));
        progress?.(copied.length, files.size);
      },
      { at_once: COPIES_AT_ONCE, max_bytes: MAX_BYTES_AT_ONCE, sizeOf: ({ size_bytes }) => size_bytes ?? 0 },
    );
    return copied.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Table files are immutable and have unique names, so files of equal path and size are equal. */
  async #copyFile(
    { location, size_bytes }: NeededFile,
    roots: readonly Root[],
    committed: string | undefined,
  ): Promise<TableFile> {
    const { storage, target, step } = this.#request;
    const path = pathIn(roots, location);
    if (path === null) throw new TypeError(`${location} is outside all roots`);
    const stored = locationOfFile(target, path);
    const known = this.#known.get(path);
    const is_known =
      known !== undefined &&
      this.#present.get(stored) === known.size_bytes &&
      (size_bytes ?? known.size_bytes) === known.size_bytes;
    if (is_known) return known;
    const source = new CheckedFile(storage, location, { size_bytes, sha256: committed ?? null });
    if (!(await this.#hasWhole(stored, source))) {
      await this.#replace(stored, source.pieces());
      this.#copied.files += 1;
      this.#copied.bytes += source.digest.size_bytes;
    }
    const file = { path, ...source.digest };
    this.#present.set(stored, file.size_bytes);
    this.#known.set(path, file);
    step("inside files");
    return file;
  }

  /** Whether a killed run left the complete file. */
  async #hasWhole(stored: string, source: CheckedFile): Promise<boolean> {
    const { target } = this.#request;
    const present = this.#present.get(stored);
    if (present === undefined || present !== (await source.size())) return false;
    await source.check();
    if ((await digestOf(target.storage, stored)).sha256 !== source.digest.sha256) return false;
    // The killed run may not have synced it.
    await target.storage.sync(stored);
    return true;
  }

  /** Replaces a truncated file that a killed run left. */
  async #replace(location: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const { target } = this.#request;
    if (this.#present.has(location))
      await deleteOwnFiles({ storage: target.storage, warehouse: null }, target.root, [location]);
    this.#present.delete(location);
    await target.storage.write(location, content);
  }

  async #storeParts(file: string): Promise<Part[]> {
    const { target, signal } = this.#request;
    const parts: Part[] = [];
    const handle = await open(file, "r");
    try {
      for (;;) {
        signal.throwIfAborted();
        const buffer = Buffer.alloc(PART_BYTES);
        const { bytesRead } = await handle.read(buffer, 0, PART_BYTES);
        if (bytesRead === 0) return parts;
        const bytes = buffer.subarray(0, bytesRead);
        const part = { sha256: sha256(bytes), size_bytes: bytes.length };
        parts.push(part);
        const location = locationOfPart(target, part);
        const is_known = this.#known_parts.has(part.sha256) && this.#present.get(location) === part.size_bytes;
        if (is_known) continue;
        this.#known_parts.add(part.sha256);
        if (await this.#put(location, bytes, part.sha256)) this.#copied.parts += 1;
      }
    } finally {
      await handle.close();
    }
  }

  /** False if the target already has it, complete, from a killed run. */
  async #put(location: string, bytes: Uint8Array, digest: string): Promise<boolean> {
    const { target } = this.#request;
    if (this.#present.get(location) === bytes.length && sha256(await target.storage.read(location)) === digest) {
      await target.storage.sync(location);
      return false;
    }
    await this.#replace(location, bytes);
    this.#present.set(location, bytes.length);
    return true;
  }

  #manifest(number: number, { roots, stores, files }: Taken): BackupManifest {
    const { lake, description, clock } = this.#request;
    const { moving_to: _unfinished, ...kept } = description;
    return {
      format: 1,
      number,
      created_at: isoFromMicros(clock.now_us()),
      lake: { ...kept, name: lake.name },
      warehouse: lake.warehouse,
      roots,
      stores,
      files,
    };
  }

  /** Deletes manifests first, so that the files of every remaining manifest exist. */
  async #removeOld(numbers: readonly number[], newest: BackupManifest): Promise<void> {
    const { target, step, signal } = this.#request;
    const kept = await newestManifests(target, numbers, KEPT_BACKUPS);
    const needed = new Set(
      kept.flatMap(({ files, stores }) => [
        ...files.map(({ path }) => locationOfFile(target, path)),
        ...stores.flatMap(({ parts }) => parts.map((part) => locationOfPart(target, part))),
      ]),
    );
    const own = { storage: target.storage, warehouse: null, signal };
    const manifests = numbers.filter(
      (number) => number !== newest.number && !kept.some((each) => each.number === number),
    );
    await deleteOwnFiles(
      own,
      target.root,
      manifests.map((number) => locationOfManifest(target, number)),
    );
    step("inside cleanup");
    const unneeded = [...this.#present.keys()].filter((location) => isOf(target, location) && !needed.has(location));
    await deleteOwnFiles(own, target.root, unneeded);
  }

  async #claimMaintenance(): Promise<{ release(): void } | null> {
    const { lake, clock, signal } = this.#request;
    do {
      try {
        return claimMaintenance(lake, "backup");
      } catch (error) {
        if (!(error instanceof OperatingError) || error.code !== "MAINTENANCE_RUNNING") throw error;
      }
    } while (await pause(clock, CLAIM_RETRY_MS, signal));
    return null;
  }
}

interface Taken {
  is_between_increments: boolean;
  needed: NeededFiles;
  roots: Root[];
  files: TableFile[];
  stores: StoredFile[];
}

async function copyFresh(from: string, to: string): Promise<void> {
  for (const ending of ["", "-wal", "-shm", "-journal"]) rmSync(`${to}${ending}`, { force: true });
  await copyDatabase(from, to);
}

function isOf({ root }: BackupPlace, location: string): boolean {
  return location.startsWith(`${root}/files/`) || location.startsWith(`${root}/parts/`);
}

function idOf(lake: Lake): string {
  if (lake.id === null) throw new TypeError("a lake has an id before it is backed up");
  return lake.id;
}

function unlessGone(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}

function targetNotEmpty(root: string): OperatingError {
  return new OperatingError("BACKUP_TARGET_NOT_EMPTY", `The target ${root} is not empty and is not a backup`, {
    next_step: "Choose an empty folder, or a folder with backups of this lake.",
  });
}

function anotherLake(root: string, lake: Lake): OperatingError {
  return new OperatingError(
    "BACKUP_OF_ANOTHER_LAKE",
    `The target ${root} holds backups of a lake other than "${lake.name}" (id ${lake.id})`,
    {
      next_step:
        "Choose another folder: each lake needs its own backup folder, and a restored lake counts as a new lake.",
    },
  );
}

function fileMissing(cause: OperatingError): OperatingError {
  return new OperatingError(
    "TABLE_FILE_MISSING",
    `Cannot back up the lake: a file of a snapshot is missing: ${cause.message}`,
    {
      next_step: "Run `npm run -s coinlake -- verify` to find the damage; earlier backups are unchanged.",
      cause,
    },
  );
}

function databaseMissing({ folder }: Lake, name: string): OperatingError {
  return new OperatingError("DATABASE_MISSING", `Cannot back up the lake: ${join(folder, name)} is missing`, {
    next_step: "Run `npm run -s coinlake -- verify` to find the damage; earlier backups are unchanged.",
  });
}
