import { nextVersion } from "../catalog/metadata-versions.ts";
import { MAX_METADATA_BYTES, parseMetadata } from "../iceberg/metadata/text.ts";
import type { TableIdentifier, TableMetadata } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";
import type { LakeFiles } from "./lake-files.ts";

/** A readable metadata file of a table. */
export interface MetadataVersion {
  location: string;
  /** The number in the file's name; -1 if it has none. */
  version: number;
  metadata: TableMetadata;
}

/** The metadata files of a warehouse, by table folder. */
export class MetadataVersions {
  readonly #storage: Storage;
  readonly #files: LakeFiles;
  readonly #by_folder: Map<string, string[]>;

  constructor(storage: Storage, files: LakeFiles) {
    this.#storage = storage;
    this.#files = files;
    const all = files.all().filter((location) => location.endsWith(".metadata.json"));
    this.#by_folder = Map.groupBy(all, folderOf);
  }

  /** Folders with a metadata file. */
  folders(): string[] {
    return [...this.#by_folder.keys()];
  }

  isCommitted(location: string): boolean {
    return this.#files.isCommitted(location);
  }

  /** The metadata at a location; null if it cannot be read. */
  async read(location: string): Promise<TableMetadata | null> {
    const size_bytes = this.#files.sizeOf(location) ?? 0;
    if (size_bytes === 0 || size_bytes > MAX_METADATA_BYTES) return null;
    try {
      return parseMetadata(await this.#storage.read(location), location);
    } catch (error) {
      if (error instanceof OperatingError && !error.is_retryable) return null;
      throw error;
    }
  }

  /** The newest readable metadata file of a table in this folder; null without one. */
  async newest(folder: string): Promise<MetadataVersion | null> {
    const locations = [...(this.#by_folder.get(canonicalLocation(folder)) ?? [])];
    const found: MetadataVersion[] = [];
    for (const location of locations.sort((a, b) => versionOf(b) - versionOf(a))) {
      const version = versionOf(location);
      // If two files have one version, a failed or interrupted commit wrote one of them.
      if (found[0] !== undefined && version < found[0].version) break;
      const metadata = await this.read(location);
      if (metadata !== null && canonicalLocation(metadata.location) === canonicalLocation(folder))
        found.push({ location, version, metadata });
    }
    return (
      found.sort((a, b) => Number(b.metadata["last-updated-ms"]) - Number(a.metadata["last-updated-ms"]))[0] ?? null
    );
  }
}

export function versionOf(location: string): number {
  return nextVersion(location) - 1;
}

/** The table folder of a metadata file. */
export function folderOf(metadata_location: string): string {
  return canonicalLocation(metadata_location).replace(/\/metadata\/[^/]*$/, "");
}

/**
 * The table by which the catalog named a folder: `<warehouse>/<layer>/<name>-<8 hex digits>`; null for another folder.
 */
export function tableAt(folder: string, warehouse: string): TableIdentifier | null {
  const below = folder.slice(canonicalLocation(warehouse).length + 1).split("/");
  const name = /^(.+)-[0-9a-f]{8}$/.exec(below.at(-1) ?? "")?.[1];
  return name === undefined || below.length < 2 ? null : { namespace: below.slice(0, -1), name };
}

/**
 * The folder of the table to which a file belongs, and the table after which the folder is named; null for another
 * file.
 */
export function tableOfFile(
  location: string,
  warehouse: string,
): { folder: string; identifier: TableIdentifier } | null {
  const top = canonicalLocation(warehouse);
  const below = canonicalLocation(location)
    .slice(top.length + 1)
    .split("/");
  const folder = [
    top,
    ...below.slice(
      0,
      below.findIndex((level) => level === "data" || level === "metadata"),
    ),
  ].join("/");
  const identifier = tableAt(folder, warehouse);
  return identifier === null ? null : { folder, identifier };
}
