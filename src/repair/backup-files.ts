import { createHash } from "node:crypto";
import { OperatingError } from "../errors.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Storage } from "../storage/storage.ts";

/** A backup's folder, as `backup` writes it. */
export interface BackupFolder {
  storage: Storage;
  /** Without a trailing slash. */
  root: string;
}

interface BackupFile {
  /** Below the warehouse. */
  path: string;
  size_bytes: number;
  sha256: string;
}

/** The table files of a backup's newest complete run, by the location that they have in the lake. */
export class BackupFiles {
  readonly #folder: BackupFolder;
  readonly #files: ReadonlyMap<string, BackupFile>;

  private constructor(folder: BackupFolder, files: ReadonlyMap<string, BackupFile>) {
    this.#folder = folder;
    this.#files = files;
  }

  /** Throws NO_BACKUP where no run was completed. */
  static async open(folder: BackupFolder, warehouse: string): Promise<BackupFiles> {
    const manifests: string[] = [];
    for await (const { location } of folder.storage.list(`${folder.root}/manifests`)) {
      if (/\/\d+\.json$/.test(location)) manifests.push(location);
    }
    for (const location of manifests.toSorted().toReversed()) {
      const files = filesIn(await folder.storage.read(location));
      if (files !== null) return new BackupFiles(folder, new Map(files.map((file) => [canonicalLocation(`${warehouse}/${file.path}`), file])));
    }
    throw new OperatingError("NO_BACKUP", `There is no complete backup in ${folder.root}`, {
      next_step: "Name with --from the folder that `coinlake backup` wrote to.",
    });
  }

  get(location: string): BackupFile | null {
    return this.#files.get(canonicalLocation(location)) ?? null;
  }

  /** Of the lake's file at a location. Throws BACKUP_DAMAGED. */
  async read(location: string): Promise<Uint8Array> {
    const file = this.#files.get(canonicalLocation(location));
    if (file === undefined) throw new TypeError(`the backup does not have ${location}`);
    const bytes = await this.#folder.storage.read(this.#locationOf(file));
    if (sha256(bytes) === file.sha256) return bytes;
    throw new OperatingError("BACKUP_DAMAGED", `${this.#locationOf(file)} is not as it was backed up: its checksum differs`, {
      next_step: "Name another backup with --from.",
    });
  }

  /** Where the backup keeps data files of a folder of the lake, for what can no longer be put back under its own name. */
  dataFilesBelow(folder: string): string[] {
    const start = `${canonicalLocation(folder)}/`;
    const found = [...this.#files].filter(([location]) => location.startsWith(start) && location.endsWith(".parquet"));
    return found.map(([, file]) => this.#locationOf(file));
  }

  #locationOf({ path }: BackupFile): string {
    return `${this.#folder.root}/files/${path}`;
  }
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A header with the checksum of the second line, and the content; null for one that was cut off. */
function filesIn(bytes: Uint8Array): BackupFile[] | null {
  const [header = "", body = ""] = new TextDecoder().decode(bytes).split("\n");
  try {
    const { sha256: expected } = JSON.parse(header) as { sha256?: string };
    return expected === sha256(body) ? (JSON.parse(body) as { files: BackupFile[] }).files : null;
  } catch {
    return null;
  }
}
