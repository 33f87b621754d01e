import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { OperatingError } from "../../src/base/errors.ts";
import { locationOfPath, pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { objectOfLocation } from "../../src/storage/s3/location.ts";
import { s3SettingsFrom } from "../../src/storage/s3/settings.ts";
import { S3Storage } from "../../src/storage/s3/storage.ts";
import type { FileStat, Storage } from "../../src/storage/storage.ts";

/** A file as a listing shows it. */
export interface Listed extends FileStat {
  /** Relative to the folder, with forward slashes. */
  name: string;
}

/** A folder on this disk, or a prefix in S3, with its subfolders. Symbolic links below it are not followed. */
export interface Folder {
  location: string;
  is_local: boolean;
  storage: Storage;
  /** Throws FOLDER_NOT_FOUND, STORAGE_DENIED, STORAGE_UNREACHABLE and the other errors of a storage. */
  list(): AsyncIterable<Listed>;
  locationOf(name: string): string;
}

/**
 * Opens a path or an `s3://bucket/prefix`; the environment names the S3 service. Throws UNSUPPORTED_LOCATION,
 * S3_CREDENTIALS_MISSING, INVALID_S3_ENDPOINT.
 */
export function openFolder(place: string, env: Readonly<Record<string, string | undefined>> = process.env): Folder {
  if (/^s3[an]?:/i.test(place)) return openPrefix(place, env);
  const location = /^file:/i.test(place) ? place.replace(/\/+$/, "") : locationOfPath(resolve(place));
  const path = pathOfLocation(location);
  const storage = new FileStorage();
  return {
    location,
    is_local: true,
    storage,
    async *list() {
      if (!(await isFolder(path))) throw folderNotFound(path);
      yield* listBelow(storage, location);
    },
    locationOf: (name) => `${location}/${name}`,
  };
}

function openPrefix(place: string, env: Readonly<Record<string, string | undefined>>): Folder {
  const { bucket, key } = objectOfLocation(place.replace(/^s3[an]?:/i, "s3:"));
  const prefix = key.replaceAll(/^\/+|\/+$/g, "");
  const location = prefix === "" ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
  const storage = new S3Storage(s3SettingsFrom(env));
  return {
    location,
    is_local: false,
    storage,
    list: () => listBelow(storage, location),
    locationOf: (name) => `${location}/${name}`,
  };
}

async function* listBelow(storage: Storage, location: string): AsyncGenerator<Listed> {
  for await (const { location: file, ...stat } of storage.list(location)) {
    yield { name: file.slice(location.length + 1), ...stat };
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && "code" in error && ["ENOENT", "ENOTDIR"].includes(String(error.code))) return false;
    throw new OperatingError("STORAGE_DENIED", `Cannot look into ${path}`, {
      next_step: "Give this user read access to the folder.",
      cause: error,
    });
  }
}

function folderNotFound(path: string): OperatingError {
  return new OperatingError("FOLDER_NOT_FOUND", `There is no folder ${path}`, {
    next_step: "Create it, or check the path given to files:FOLDER.",
  });
}
