import { randomUUID } from "node:crypto";
import { MetadataFiles } from "../catalog/files.ts";
import { nextVersion } from "../catalog/metadata-versions.ts";
import { parseMetadata } from "../iceberg/metadata/text.ts";
import type { TableMetadata } from "../iceberg/model.ts";
import {
  readCatalogFile,
  replaceCatalogContent,
  type StoredChecksum,
  type StoredPointer,
} from "../catalog/sqlite/pointers.ts";
import { openRewriter, type Rewriter, type RewriterOptions } from "../duckdb/rewriter.ts";
import { OperatingError } from "../base/errors.ts";
import {
  filesIn,
  manifestsIn,
  relocateManifest,
  relocateManifestList,
  relocateMetadata,
  relocateProperties,
  type Locate,
  type NamedFile,
  type NamedManifest,
} from "../iceberg/relocate.ts";
import { CONTENT } from "../iceberg/manifest-model.ts";
import type { StepListener } from "../base/failpoints.ts";
import { digestOf } from "../storage/digest.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";

export interface Relocation {
  /** The catalog of the tables; no process has it open. */
  catalog_file: string;
  /** Finds files by their new locations. */
  storage: Storage;
  /** Present location of a file, for the engine, given its new location. */
  present(location: string): string;
  locate: Locate;
  engine: RewriterOptions;
  step: StepListener;
  signal: AbortSignal;
  progress?(done_tables: number, total_tables: number): void;
}

/** Files of a table that are no longer needed. */
export interface Superseded {
  folder: string;
  locations: string[];
}

/**
 * Rewrites the metadata of every table with new locations, and changes all pointers in one transaction. The table files
 * are at their new locations already. New files have new names and old ones remain, so a run killed before the
 * transaction changes nothing; a later run skips relocated tables. Returns the files that may be deleted. Throws
 * UNSUPPORTED_DELETES, FILE_NOT_FOUND if a file of a retained snapshot is missing, and the signal's reason once it
 * aborts.
 */
export async function relocateTables(relocation: Relocation): Promise<Superseded[]> {
  const { catalog_file, locate, step, signal, progress } = relocation;
  const { pointers, namespaces, checksums } = readCatalogFile(catalog_file);
  const moving = pointers.filter(({ metadata_location }) => locate(metadata_location) !== metadata_location);
  const tables = new Tables(relocation);
  try {
    const moved: StoredPointer[] = [];
    const superseded: Superseded[] = [];
    for (const [index, pointer] of moving.entries()) {
      signal.throwIfAborted();
      progress?.(index, moving.length);
      step("inside relocation");
      const table = await tables.relocate(pointer);
      moved.push({ ...pointer, metadata_location: table.metadata_location });
      superseded.push({ folder: table.folder, locations: table.superseded });
    }
    step("before relocation");
    replaceCatalogContent(catalog_file, {
      pointers: moved,
      checksums: checksums === null ? null : await relocateChecksums(checksums, superseded, tables.written, relocation),
      namespaces: namespaces.map(({ name, properties }) => ({
        name,
        properties: relocateProperties(properties, locate),
      })),
    });
    step("after relocation");
    progress?.(moving.length, moving.length);
    return superseded;
  } finally {
    await tables.close();
  }
}

/** Data files keep their content and checksum; new files get new checksums. */
async function relocateChecksums(
  checksums: readonly StoredChecksum[],
  superseded: readonly Superseded[],
  written: readonly string[],
  { storage, locate }: Relocation,
): Promise<StoredChecksum[]> {
  const gone = new Set(superseded.flatMap(({ locations }) => locations.map(canonicalLocation)));
  const kept = checksums
    .map((checksum) => ({ ...checksum, location: canonicalLocation(locate(checksum.location)) }))
    .filter(({ location }) => !gone.has(location));
  for (const location of written) {
    kept.push({ location: canonicalLocation(location), ...(await digestOf(storage, location)), taken_by: "commit" });
  }
  return kept;
}

interface RelocatedTable {
  folder: string;
  metadata_location: string;
  superseded: string[];
}

class Tables {
  /** Locations of all files written. */
  readonly written: string[] = [];
  readonly #relocation: Relocation;
  readonly #files: MetadataFiles;
  /** Opened for the first table with deletes. */
  #rewriter: Promise<Rewriter> | null = null;

  constructor(relocation: Relocation) {
    this.#relocation = relocation;
    this.#files = new MetadataFiles(relocation.storage);
  }

  async relocate({ namespace, name, metadata_location }: StoredPointer): Promise<RelocatedTable> {
    const { storage, locate } = this.#relocation;
    const located = locate(metadata_location);
    const metadata = parseMetadata(await storage.read(located), located);
    const table = new TableFiles(this.#relocation, metadata, () => this.#open());
    const lists = new Map<string, string>();
    for (const snapshot of metadata.snapshots) {
      const list = snapshot["manifest-list"];
      if (!lists.has(list)) lists.set(list, await table.relocateList(list, `snap-${snapshot["snapshot-id"]}-1`));
    }
    const next = relocateMetadata(metadata, locate, lists);
    if (next.location === metadata.location) throw cannotPlace(`${namespace}.${name}`, metadata.location);
    const moved = await this.#files.write(next, nextVersion(metadata_location));
    this.written.push(...table.written, moved);
    const log = metadata["metadata-log"].map((entry) => locate(entry["metadata-file"]));
    return { folder: next.location, metadata_location: moved, superseded: [located, ...log, ...table.superseded] };
  }

  async close(): Promise<void> {
    (await this.#rewriter)?.close();
  }

  #open(): Promise<Rewriter> {
    this.#rewriter ??= openRewriter(this.#relocation.engine);
    return this.#rewriter;
  }
}

/** The manifests of one table, which its snapshots share. */
class TableFiles {
  readonly superseded: string[] = [];
  readonly written: string[] = [];
  readonly #relocation: Relocation;
  readonly #folder: string;
  readonly #openRewriter: () => Promise<Rewriter>;
  readonly #manifests = new Map<string, NamedManifest>();
  readonly #deletes = new Map<string, NamedManifest>();

  constructor(relocation: Relocation, metadata: TableMetadata, open: () => Promise<Rewriter>) {
    this.#relocation = relocation;
    this.#folder = relocation.locate(metadata.location);
    this.#openRewriter = open;
  }

  /** Returns the new location. */
  async relocateList(location: string, name: string): Promise<string> {
    const { storage, locate } = this.#relocation;
    const bytes = await storage.read(locate(location));
    for (const manifest of manifestsIn(bytes)) {
      if (!this.#manifests.has(manifest.location))
        this.#manifests.set(manifest.location, await this.#relocateManifest(manifest.location));
    }
    const moved = `${this.#folder}/metadata/${name}-${randomUUID()}.avro`;
    await storage.write(moved, relocateManifestList(bytes, this.#manifests));
    this.written.push(moved);
    this.superseded.push(locate(location));
    return moved;
  }

  async #relocateManifest(location: string): Promise<NamedManifest> {
    const { storage, locate, signal } = this.#relocation;
    signal.throwIfAborted();
    const bytes = await storage.read(locate(location));
    for (const file of filesIn(bytes)) {
      if (file.content !== CONTENT.position_deletes || file.is_deleted || this.#deletes.has(file.location)) continue;
      const moved = await this.#relocateDeletes(file);
      if (moved !== null) this.#deletes.set(file.location, moved);
    }
    const relocated = relocateManifest(bytes, locate, this.#deletes);
    const moved = { location: `${this.#folder}/metadata/${randomUUID()}-m0.avro`, size_bytes: relocated.length };
    await storage.write(moved.location, relocated);
    this.written.push(moved.location);
    this.superseded.push(locate(location));
    return moved;
  }

  /**
   * A position delete file names data files in its rows; a deletion vector names its data file only in the manifest.
   */
  async #relocateDeletes({ location, file_format }: NamedFile): Promise<NamedManifest | null> {
    if (file_format === "PUFFIN") return null;
    if (file_format !== "PARQUET") throw unsupportedDeletes(location, file_format);
    const { storage, locate, present } = this.#relocation;
    const moved = `${this.#folder}/data/${randomUUID()}-deletes.parquet`;
    await storage.makeFolder(`${this.#folder}/data`);
    const size_bytes = await (
      await this.#openRewriter()
    ).relocateDeletes(present(locate(location)), present(moved), locate);
    await storage.sync(moved);
    this.written.push(moved);
    this.superseded.push(locate(location));
    return { location: moved, size_bytes };
  }
}

function unsupportedDeletes(location: string, file_format: string): OperatingError {
  return new OperatingError(
    "UNSUPPORTED_DELETES",
    `Cannot rewrite the locations in ${location}: unsupported delete file format ${file_format}`,
    {
      next_step: "Compact the table with the engine that wrote it, expire its older snapshots, then try again.",
    },
  );
}

function cannotPlace(table: string, location: string): OperatingError {
  return new OperatingError(
    "TABLE_OUTSIDE_WAREHOUSE",
    `${table} has its metadata in the lake's warehouse, but its location is outside: ${location}`,
    {
      next_step: "Drop the table, or set its location to a folder in the warehouse, then try again.",
    },
  );
}
