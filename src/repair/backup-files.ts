import {
  locationOfFile,
  manifestNumbers,
  newestManifests,
  sha256,
  type BackupPlace,
  type TableFile,
} from "../backup/manifest.ts";
import { OperatingError } from "../base/errors.ts";
import { canonicalLocation } from "../storage/location.ts";

/** The table files of a backup's newest complete run, by their location in the lake. */
export class BackupFiles {
  readonly #place: BackupPlace;
  readonly #files: ReadonlyMap<string, TableFile>;

  private constructor(place: BackupPlace, files: ReadonlyMap<string, TableFile>) {
    this.#place = place;
    this.#files = files;
  }

  /** Throws NO_BACKUP if the folder has no complete backup. */
  static async open(place: BackupPlace, warehouse: string): Promise<BackupFiles> {
    const [manifest] = await newestManifests(place, await manifestNumbers(place), 1);
    if (manifest !== undefined) {
      return new BackupFiles(
        place,
        new Map(manifest.files.map((file) => [canonicalLocation(`${warehouse}/${file.path}`), file])),
      );
    }
    throw new OperatingError("NO_BACKUP", `No complete backup found in ${place.root}`, {
      next_step: "Give the folder that `coinlake backup` wrote to with --from.",
    });
  }

  get(location: string): TableFile | null {
    return this.#files.get(canonicalLocation(location)) ?? null;
  }

  /** Reads the backup's copy of the lake's file at a location. Throws BACKUP_DAMAGED. */
  async read(location: string): Promise<Uint8Array> {
    const file = this.#files.get(canonicalLocation(location));
    if (file === undefined) throw new TypeError(`the backup does not have ${location}`);
    const kept = locationOfFile(this.#place, file.path);
    const bytes = await this.#place.storage.read(kept);
    if (sha256(bytes) === file.sha256) return bytes;
    throw new OperatingError("BACKUP_DAMAGED", `${kept} has changed since the backup: its checksum differs`, {
      next_step: "Give another backup with --from.",
    });
  }

  /**
   * The backup's folder for data files of a lake folder, for files that cannot be restored under their own name.
   */
  dataFilesBelow(folder: string): string[] {
    const start = `${canonicalLocation(folder)}/`;
    const found = [...this.#files].filter(([location]) => location.startsWith(start) && location.endsWith(".parquet"));
    return found.map(([, { path }]) => locationOfFile(this.#place, path));
  }
}
