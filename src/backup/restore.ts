import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFile, syncFoldersTo } from "../base/durable-file.ts";
import type { RewriterOptions } from "../duckdb/rewriter.ts";
import { OperatingError } from "../base/errors.ts";
import { describedAt, writeDescription } from "../lake/lake.ts";
import { MaintenanceStore } from "../maintain/store.ts";
import type { StepListener } from "../base/failpoints.ts";
import { Digest, digestOf } from "../storage/digest.ts";
import { locationOfPath } from "../storage/file/location.ts";
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
  readManifest,
  readMarker,
  sha256,
  type BackupManifest,
  type BackupPlace,
  type Part,
  type StoredFile,
  type TableFile,
} from "./manifest.ts";
import { MARKER, openStaging, type Staging } from "./placing.ts";
import { OwnedStorage } from "./owned.ts";
import { relocateTables, type Superseded } from "./relocate.ts";
import { locatorOf } from "./roots.ts";
import { COPIES_AT_ONCE, inGroups, MAX_BYTES_AT_ONCE } from "./table-files.ts";
import { makeFolder } from "../base/folder.ts";

export interface RestoreRequest {
  source: BackupPlace;
  /** The backup with this number; null for the newest. */
  number: number | null;
  /** Target folder for the lake with this name. */
  folderOf(name: string): string;
  /** S3 location for the tables; null for the lake's folder. */
  warehouse: string | null;
  /** Storage of the tables. */
  storage: Storage;
  engine: RewriterOptions;
  step: StepListener;
  signal: AbortSignal;
  progress?(done: number, total: number): void;
}

export interface RestoreReport {
  number: number;
  created_at: string;
  /** Folder of the new lake. */
  folder: string;
  id: string;
  tables: number;
  files: number;
}

/**
 * Creates a lake from a backup, with a new id, so that it is independent of the original. Checks every byte against the
 * backup's checksums. Fills a staging folder and renames it to the target at the end; a later run resumes a killed one
 * and checks its files again. Throws BACKUP_NOT_FOUND, BACKUP_DAMAGED, TARGET_NOT_EMPTY, TARGET_IN_USE,
 * WAREHOUSE_NOT_EMPTY, and errors of storages and relocation.
 */
export async function restore(request: RestoreRequest): Promise<RestoreReport> {
  const manifest = await manifestOf(request);
  const source = `${request.source.root} ${manifest.number} to ${request.warehouse ?? "its folder"}`;
  const staging = openStaging({ folder: request.folderOf(manifest.lake.name), source, activity: "restore" });
  try {
    const restoring = new Restoring(request, manifest, staging);
    await restoring.rejectForeign();
    staging.begin();
    return await restoring.all();
  } finally {
    staging.release();
  }
}

class Restoring {
  readonly #request: RestoreRequest;
  readonly #manifest: BackupManifest;
  readonly #staging: Staging;
  /** Target location of the tables. */
  readonly #warehouse: string;
  readonly #storage: OwnedStorage;

  constructor(request: RestoreRequest, manifest: BackupManifest, staging: Staging) {
    this.#request = request;
    this.#manifest = manifest;
    this.#staging = staging;
    this.#warehouse = request.warehouse ?? locationOfPath(join(staging.place, "warehouse"));
    const present = request.warehouse ?? locationOfPath(join(staging.folder, "warehouse"));
    this.#storage = new OwnedStorage(
      request.storage,
      { future: this.#warehouse, present },
      request.warehouse === null ? null : staging,
    );
  }

  async all(): Promise<RestoreReport> {
    const { step } = this.#request;
    const { lake, number, created_at, roots, files } = this.#manifest;
    await this.#clean();
    await this.#copyFiles();
    for (const store of this.#manifest.stores) await this.#assemble(store);
    const superseded = await relocateTables({
      ...this.#request,
      catalog_file: join(this.#staging.folder, "catalog.db"),
      storage: this.#storage,
      present: (location) => {
        // The engine resolves locations of copied files, which it reads, and of new files, which it writes.
        this.#storage.own(location);
        return this.#storage.present(location);
      },
      locate: locatorOf(roots, this.#warehouse),
      progress: () => {},
    });
    const isOwn = (location: string): boolean => this.#storage.isOwn(location);
    const made = superseded.map(({ folder, locations }) => ({ folder, locations: locations.filter(isOwn) }));
    await removeSuperseded(this.#storage, made, this.#warehouse);
    forgetPending(this.#staging.folder);
    const id = randomUUID();
    const { name: _name, warehouse: _old, ...description } = lake;
    const { warehouse } = this.#request;
    writeDescription(this.#staging.folder, {
      ...describedAt(description, { id, location: this.#staging.place }),
      ...(warehouse !== null && { warehouse }),
      restored_from: { lake_id: lake.id ?? "", backup: number, created_at },
    });
    syncFile(join(this.#staging.folder, "lake.json"));
    step("before placing");
    this.#staging.put();
    step("after placing");
    return { number, created_at, folder: this.#staging.place, id, tables: superseded.length, files: files.length };
  }

  /**
   * Checks that the S3 folder contains only files of an interrupted run. Writes nothing. Throws WAREHOUSE_NOT_EMPTY.
   */
  async rejectForeign(): Promise<void> {
    const { warehouse } = this.#request;
    if (warehouse === null) return;
    for await (const { location } of this.#storage.list(this.#warehouse)) {
      if (!this.#storage.isOwn(location)) throw warehouseNotEmpty(warehouse, location);
    }
  }

  /** Keeps the copied files of a killed run and deletes the files that it rewrote. */
  async #clean(): Promise<void> {
    const { folder, is_resumed } = this.#staging;
    if (!is_resumed) return;
    const kept = new Set(["warehouse", "owner.txt", MARKER]);
    for (const name of readdirSync(folder))
      if (!kept.has(name) && !name.startsWith("owner.db")) rmSync(join(folder, name), { recursive: true, force: true });
    const wanted = new Set(this.#manifest.files.map(({ path }) => canonicalLocation(`${this.#warehouse}/${path}`)));
    const unwanted: string[] = [];
    for await (const { location } of this.#storage.list(this.#warehouse)) {
      if (!wanted.has(canonicalLocation(location)) && this.#storage.isOwn(location)) unwanted.push(location);
    }
    await deleteOwnFiles({ storage: this.#storage, warehouse: null }, this.#warehouse, unwanted);
  }

  async #copyFiles(): Promise<void> {
    const { signal, progress, step } = this.#request;
    const { files } = this.#manifest;
    let done = 0;
    progress?.(0, files.length);
    await inGroups(
      files,
      signal,
      async (file) => {
        await this.#copyFile(file);
        step("inside restore");
        progress?.((done += 1), files.length);
      },
      { at_once: COPIES_AT_ONCE, max_bytes: MAX_BYTES_AT_ONCE, sizeOf: ({ size_bytes }) => size_bytes },
    );
  }

  async #copyFile(file: TableFile): Promise<void> {
    const location = `${this.#warehouse}/${file.path}`;
    if (this.#staging.is_resumed && (await this.#storage.statOf(location)) !== null) {
      const { sha256: digest } = await digestOf(this.#storage, location);
      // The killed run may not have synced it.
      if (digest === file.sha256) return await this.#storage.sync(location);
      if (!this.#storage.isOwn(location)) throw warehouseNotEmpty(this.#warehouse, location);
      await deleteOwnFiles({ storage: this.#storage, warehouse: null }, this.#warehouse, [location]);
    }
    await this.#storage.write(location, this.#piecesOf(locationOfFile(this.#request.source, file.path), file));
  }

  async #assemble({ path, parts }: StoredFile): Promise<void> {
    const file = join(this.#staging.folder, path);
    makeFolder(dirname(file));
    const handle = await open(file, "w");
    try {
      for (const part of parts)
        await handle.writeFile(await this.#read(locationOfPart(this.#request.source, part), part));
      await handle.sync();
    } finally {
      await handle.close();
    }
    syncFoldersTo(this.#staging.folder, [path]);
  }

  /** Throws at the end if the file differs from its checksum, so that the writer completes no file. */
  async *#piecesOf(location: string, expected: Part): AsyncGenerator<Uint8Array> {
    const { source } = this.#request;
    const digest = new Digest();
    try {
      for await (const piece of source.storage.readPieces(location)) yield digest.add(piece);
    } catch (error) {
      throw isMissing(error) ? damaged(`${location} is missing`) : error;
    }
    const { size_bytes, sha256: found } = digest.end();
    if (size_bytes !== expected.size_bytes || found !== expected.sha256)
      throw damaged(`${location} differs from its checksum`);
  }

  async #read(location: string, { sha256: expected, size_bytes }: Part): Promise<Uint8Array> {
    const bytes = await this.#request.source.storage.read(location).catch((error: unknown) => {
      throw isMissing(error) ? damaged(`${location} is missing`) : error;
    });
    if (bytes.length !== size_bytes || sha256(bytes) !== expected)
      throw damaged(`${location} differs from its checksum`);
    return bytes;
  }
}

/** Deletes metadata files with the old locations. */
export async function removeSuperseded(
  storage: Storage,
  superseded: readonly Superseded[],
  warehouse: string,
): Promise<void> {
  for (const { folder, locations } of superseded) await deleteOwnFiles({ storage, warehouse }, folder, locations);
}

/** Drops deletions that a killed maintenance run recorded: their old locations are not in this lake. */
export function forgetPending(folder: string): void {
  if (!existsSync(join(folder, "maintenance.db"))) return;
  const store = new MaintenanceStore(folder);
  try {
    for (const table of store.pendingTables()) store.remove(store.of(table));
  } finally {
    store.close();
  }
}

async function manifestOf({ source, number }: RestoreRequest): Promise<BackupManifest> {
  if ((await readMarker(source)) === null) throw notFound(`No backup found in ${source.root}`);
  if (number !== null) {
    const manifest = await readManifest(source, number);
    if (manifest === null)
      throw notFound(`Backup ${number} is missing or incomplete: ${locationOfManifest(source, number)}`);
    return manifest;
  }
  const [newest] = await newestManifests(source, await manifestNumbers(source), 1);
  if (newest === undefined) throw notFound(`No complete backup found in ${source.root}`);
  return newest;
}

function notFound(message: string): OperatingError {
  return new OperatingError("BACKUP_NOT_FOUND", message, {
    next_step: "Give the folder that `coinlake backup` wrote to; run `backup` again if it was interrupted.",
  });
}

function damaged(message: string): OperatingError {
  return new OperatingError("BACKUP_DAMAGED", `The backup is damaged: ${message}`, {
    next_step:
      "Restore an earlier backup with --backup NUMBER, use another copy, or create a new backup in an empty folder.",
  });
}

function warehouseNotEmpty(warehouse: string, found: string): OperatingError {
  return new OperatingError("WAREHOUSE_NOT_EMPTY", `${warehouse} contains files of another origin, such as ${found}`, {
    next_step: "Choose an empty folder of a bucket with --warehouse.",
  });
}
