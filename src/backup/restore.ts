import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { RewriterOptions } from "../engine/embedded/rewriter.ts";
import { OperatingError } from "../errors.ts";
import { describedAt, writeDescription } from "../lake/lake.ts";
import { MaintenanceStore } from "../maintain/store.ts";
import type { StepListener } from "../steps.ts";
import { locationOfPath } from "../storage/file/location.ts";
import { deleteOwnFiles } from "../storage/own-files.ts";
import { RelocatedStorage } from "../storage/relocated.ts";
import type { Storage } from "../storage/storage.ts";
import {
  isGone,
  locationOfFile,
  locationOfManifest,
  locationOfPart,
  manifestNumbers,
  newestManifests,
  readIfThere,
  readManifest,
  readMarker,
  sha256,
  type BackupManifest,
  type BackupPlace,
  type Part,
  type StoredFile,
  type TableFile,
} from "./manifest.ts";
import { openStaging, syncFile, syncFolder, type Staging } from "./placing.ts";
import { relocateTables, type Superseded } from "./relocate.ts";
import { locatorOf } from "./roots.ts";
import { inGroups } from "./table-files.ts";

export interface RestoreRequest {
  source: BackupPlace;
  /** The backup with this number; null for the newest. */
  number: number | null;
  /** Of the lake to be, from its name. */
  folderOf(name: string): string;
  /** Where its tables go: a location in S3, or null for its folder. */
  warehouse: string | null;
  /** Of the tables. */
  storage: Storage;
  engine: RewriterOptions;
  step: StepListener;
  signal: AbortSignal;
  progress?(done: number, total: number): void;
}

export interface RestoreReport {
  number: number;
  created_at: string;
  /** Of the lake that was made. */
  folder: string;
  id: string;
  tables: number;
  files: number;
}

const COPIES_AT_ONCE = 3;

/**
 * Makes a lake of a backup, with a new id: from then on it and the lake that was backed up are two. Every byte is checked
 * against the backup's checksums. It is filled beside its place and renamed into it at the end; a run that was killed is gone on with,
 * its files are checked again. Throws BACKUP_NOT_FOUND, BACKUP_DAMAGED, TARGET_NOT_EMPTY, TARGET_IN_USE, WAREHOUSE_NOT_EMPTY and what
 * storages and relocation throw.
 */
export async function restore(request: RestoreRequest): Promise<RestoreReport> {
  const manifest = await manifestOf(request);
  const source = `${request.source.root} ${manifest.number} to ${request.warehouse ?? "its folder"}`;
  const staging = openStaging({ folder: request.folderOf(manifest.lake.name), source, activity: "restore" });
  try {
    return await new Restoring(request, manifest, staging).all();
  } finally {
    staging.release();
  }
}

class Restoring {
  readonly #request: RestoreRequest;
  readonly #manifest: BackupManifest;
  readonly #staging: Staging;
  /** Location of the tables-to-be. */
  readonly #warehouse: string;
  readonly #storage: RelocatedStorage;

  constructor(request: RestoreRequest, manifest: BackupManifest, staging: Staging) {
    this.#request = request;
    this.#manifest = manifest;
    this.#staging = staging;
    this.#warehouse = request.warehouse ?? locationOfPath(join(staging.place, "warehouse"));
    const present = request.warehouse ?? locationOfPath(join(staging.folder, "warehouse"));
    this.#storage = new RelocatedStorage(request.storage, { future: this.#warehouse, present });
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
      present: (location) => this.#storage.present(location),
      locate: locatorOf(roots, this.#warehouse),
      progress: () => {},
    });
    await removeSuperseded(this.#storage, superseded, this.#warehouse);
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

  /** Leaves of a killed run what the backup has too; what it had rewritten is written again. */
  async #clean(): Promise<void> {
    const { folder, is_resumed } = this.#staging;
    const { warehouse } = this.#request;
    if (is_resumed) {
      const kept = new Set(["warehouse", "owner.db", "owner.txt", "unfinished.json"]);
      for (const name of readdirSync(folder)) if (!kept.has(name) && !name.startsWith("owner.db")) rmSync(join(folder, name), { recursive: true, force: true });
    }
    const wanted = new Set(this.#manifest.files.map(({ path }) => `${this.#warehouse}/${path}`));
    const unwanted: string[] = [];
    for await (const { location } of this.#storage.list(this.#warehouse)) if (!wanted.has(location)) unwanted.push(location);
    if (unwanted.length > 0 && warehouse !== null && !is_resumed) throw warehouseNotEmpty(warehouse);
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
      COPIES_AT_ONCE,
    );
  }

  async #copyFile(file: TableFile): Promise<void> {
    const location = `${this.#warehouse}/${file.path}`;
    if (this.#staging.is_resumed) {
      const present = await readIfThere(this.#storage, location);
      if (present !== null && sha256(present) === file.sha256) return;
      await deleteOwnFiles({ storage: this.#storage, warehouse: null }, this.#warehouse, [location]);
    }
    await this.#storage.write(location, await this.#read(locationOfFile(this.#request.source, file.path), file));
  }

  async #assemble({ path, parts }: StoredFile): Promise<void> {
    const file = join(this.#staging.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    const handle = await open(file, "w");
    try {
      for (const part of parts) await handle.writeFile(await this.#read(locationOfPart(this.#request.source, part), part));
      await handle.sync();
    } finally {
      await handle.close();
    }
    syncFolder(dirname(file));
  }

  async #read(location: string, { sha256: expected, size_bytes }: Part): Promise<Uint8Array> {
    const bytes = await this.#request.source.storage.read(location).catch((error: unknown) => {
      throw isGone(error) ? damaged(`${location} is missing`) : error;
    });
    if (bytes.length !== size_bytes || sha256(bytes) !== expected) throw damaged(`${location} differs from its checksum`);
    return bytes;
  }
}

/** Metadata with the old locations. */
export async function removeSuperseded(storage: Storage, superseded: readonly Superseded[], warehouse: string): Promise<void> {
  for (const { folder, locations } of superseded) await deleteOwnFiles({ storage, warehouse }, folder, locations);
}

/** What a killed maintenance run was to delete is named by its old location, and is not in this lake. */
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
  if ((await readMarker(source)) === null) throw notFound(`${source.root} holds no backup`);
  if (number !== null) {
    const manifest = await readManifest(source, number);
    if (manifest === null) throw notFound(`${locationOfManifest(source, number)} is no complete backup`);
    return manifest;
  }
  const [newest] = await newestManifests(source, await manifestNumbers(source), 1);
  if (newest === undefined) throw notFound(`${source.root} holds no complete backup`);
  return newest;
}

function notFound(message: string): OperatingError {
  return new OperatingError("BACKUP_NOT_FOUND", message, { next_step: "Name the folder that `coinlake backup` wrote to; run it again if it was cut off." });
}

function damaged(message: string): OperatingError {
  return new OperatingError("BACKUP_DAMAGED", `The backup is damaged: ${message}`, {
    next_step: "Restore an earlier one with --backup NUMBER, or another copy of the backup; `coinlake backup` into an empty folder makes a new one.",
  });
}

function warehouseNotEmpty(warehouse: string): OperatingError {
  return new OperatingError("WAREHOUSE_NOT_EMPTY", `${warehouse} has files in it`, { next_step: "Name an empty folder of a bucket with --warehouse." });
}
