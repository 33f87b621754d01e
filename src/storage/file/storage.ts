import { constants, type BigIntStats } from "node:fs";
import { mkdir, open, opendir, rmdir, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ErrorCode } from "../../base/error-codes.ts";
import { OperatingError, messageOf } from "../../base/errors.ts";
import { fileTooLarge, notAFile } from "../rejections.ts";
import { MAX_READ_BYTES, type FileStat, type Storage } from "../storage.ts";
import { pathOfLocation } from "./location.ts";
import { KnownDurable, syncFile } from "./sync.ts";

/** Table files on the local disk. A durable file includes its folder entry: both are fsynced. */
export class FileStorage implements Storage {
  /** Not a private field, because objects with this one as their prototype share it. */
  readonly known_durable = new KnownDurable();

  async read(location: string): Promise<Uint8Array> {
    try {
      return await readRegular(pathOfLocation(location), location);
    } catch (error) {
      throw failure("read", location, error);
    }
  }

  async *readPieces(location: string): AsyncIterable<Uint8Array> {
    try {
      const file = await openRegular(pathOfLocation(location), location);
      // Closes the file, also if the reader stops early.
      for await (const piece of file.createReadStream({ highWaterMark: PIECE_BYTES })) yield piece as Uint8Array;
    } catch (error) {
      throw failure("read", location, error);
    }
  }

  async statOf(location: string): Promise<FileStat | null> {
    try {
      const found = await stat(pathOfLocation(location), { bigint: true });
      return found.isFile() ? describe(found) : null;
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return null;
      throw failure("find", location, error);
    }
  }

  async write(location: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const path = pathOfLocation(location);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeNew(path, bytes);
      await this.known_durable.syncFolders([dirname(path)]);
      this.known_durable.addFile(path);
    } catch (error) {
      throw failure("write", location, error);
    }
  }

  async makeFolder(location: string): Promise<void> {
    try {
      const path = pathOfLocation(location);
      await mkdir(path, { recursive: true });
      await this.known_durable.syncFolders([path]);
    } catch (error) {
      throw failure("make the folder", location, error);
    }
  }

  async removeFolder(location: string): Promise<void> {
    try {
      await removeEmptyFolders(pathOfLocation(location));
    } catch (error) {
      throw failure("remove the folder", location, error);
    }
  }

  async sync(location: string): Promise<void> {
    const path = pathOfLocation(location);
    try {
      const is_file = await syncFile(path);
      await this.known_durable.syncFolders([dirname(path)]);
      if (is_file) this.known_durable.addFile(path);
    } catch (error) {
      throw failure("sync", location, error);
    }
  }

  async syncAll(locations: readonly string[]): Promise<void> {
    try {
      await this.known_durable.syncFiles(locations.filter(isFileLocation).map((location) => pathOfLocation(location)));
    } catch (error) {
      throw failure("sync", `${locations.length} files such as ${locations[0]}`, error);
    }
  }

  isKnownDurable(location: string): boolean {
    return isFileLocation(location) && this.known_durable.hasFile(pathOfLocation(location));
  }

  async delete(location: string): Promise<void> {
    try {
      const path = pathOfLocation(location);
      this.known_durable.forgetFile(path);
      await unlink(path);
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw failure("delete", location, error);
    }
  }

  async *list(location: string): AsyncIterable<{ location: string; size_bytes: number; modified_at_us: number }> {
    const top = location.replace(/\/+$/, "");
    const pending = [{ path: pathOfLocation(top), location: top }];
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      for (const entry of await entriesOf(folder.path, location)) {
        const below = { path: join(folder.path, entry.name), location: `${folder.location}/${entry.name}` };
        if (entry.isDirectory()) pending.push(below);
        if (!entry.isFile()) continue;
        const file = await statIfThere(below.path, location);
        if (file !== null) yield { location: below.location, ...file };
      }
    }
  }
}

const PIECE_BYTES = 256 * 1024;

/**
 * Clients may name any file. Opening a pipe would block one of the few threads of all file operations until a writer
 * opens it; O_NONBLOCK avoids this. Windows has neither such pipes nor the flag.
 */
const OPEN_TO_READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

async function readRegular(path: string, location: string): Promise<Uint8Array> {
  const file = await openRegular(path, location);
  try {
    const { size } = await file.stat();
    if (size > MAX_READ_BYTES) throw fileTooLarge(location, size);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function openRegular(path: string, location: string): Promise<FileHandle> {
  // Checked before opening too, because opening a device may have side effects.
  if (!(await stat(path)).isFile()) throw notAFile(location);
  const file = await open(path, OPEN_TO_READ);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw notAFile(location);
}

/** Removes an incomplete file after an error; no other process knows its name yet. */
async function writeNew(path: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx");
  let is_written = false;
  try {
    await file.writeFile(bytes);
    await file.datasync();
    is_written = true;
  } finally {
    await file.close();
    if (!is_written) await unlink(path);
  }
}

/** Removes empty folders, from the leaves up. A folder that still contains a file stays, with its parents. */
async function removeEmptyFolders(path: string): Promise<void> {
  for (const entry of await entriesOf(path, path)) {
    if (entry.isDirectory()) await removeEmptyFolders(join(path, entry.name));
  }
  try {
    await rmdir(path);
  } catch (error) {
    if (!isCode(error, "ENOENT", "ENOTEMPTY", "EEXIST")) throw error;
  }
}

async function entriesOf(folder: string, location: string) {
  try {
    const entries = [];
    for await (const entry of await opendir(folder)) entries.push(entry);
    return entries;
  } catch (error) {
    if (isCode(error, "ENOENT")) return [];
    throw failure("list", location, error);
  }
}

function describe({ size, mtimeNs }: BigIntStats): FileStat {
  return { size_bytes: Number(size), modified_at_us: Number(mtimeNs / 1000n) };
}

async function statIfThere(path: string, location: string): Promise<FileStat | null> {
  try {
    return describe(await stat(path, { bigint: true }));
  } catch (error) {
    if (isCode(error, "ENOENT")) return null;
    throw failure("list", location, error);
  }
}

function isFileLocation(location: string): boolean {
  return (
    /^file:(?:\/\/(?:localhost)?)?\//.test(location) && !location.includes("\0") && !location.split("/").includes("..")
  );
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

function failure(verb: string, location: string, error: unknown): OperatingError {
  if (error instanceof OperatingError) return error;
  const failed = (code: ErrorCode, message: string, next_step: string) =>
    new OperatingError(code, message, { next_step, cause: error });
  if (isCode(error, "ENOENT", "ENOTDIR"))
    return failed(
      "FILE_NOT_FOUND",
      `There is no file ${location}`,
      "Check the location's spelling; a file of a table has to be restored from a copy.",
    );
  if (isCode(error, "EEXIST"))
    return failed("FILE_EXISTS", `${location} exists, and files are never overwritten`, "Choose another name.");
  if (isCode(error, "ENOSPC", "EDQUOT")) {
    return failed(
      "STORAGE_FULL",
      `The disk is full: could not ${verb} ${location}`,
      "Free disk space, then try again.",
    );
  }
  if (isCode(error, "EACCES", "EPERM", "EROFS")) {
    return failed(
      "STORAGE_DENIED",
      `Not allowed to ${verb} ${location}`,
      "Give this user write access to the data folder.",
    );
  }
  return failed(
    "STORAGE_FAILED",
    `Could not ${verb} ${location}: ${messageOf(error)}`,
    "Check the disk, then try again.",
  );
}
