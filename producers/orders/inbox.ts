import { existsSync, readFileSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDiskFullCode } from "../../src/base/disk-full.ts";
import { replaceFileDurably, syncFolder } from "../../src/base/durable-file.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { isMissing } from "../../src/storage/missing.ts";
import { openFolder, type Folder, type Listed } from "../files/folder.ts";
import type { Inbox } from "../files/source.ts";
import { OrderStream, type StreamOptions } from "./stream.ts";
import { Uploads, type Upload } from "./uploads.ts";

export interface InboxOptions extends Omit<StreamOptions, "start_ms" | "version_2_from_slot"> {
  /** The past of the stream that the first start writes. */
  history_ms: number;
  slots_per_history_file: number;
  /** The share of the history that is in version 1 of the schema; 1 and more extends it into the future. */
  version_1_share: number;
  /** Stop after the history. */
  is_until_drained: boolean;
  /** An S3 prefix for the files; null for a folder in the producer's own. */
  location: string | null;
}

/** The content of writer.json. */
interface WriterState {
  format: 1;
  start_ms: number;
  history_slots: number;
  /** The next file to start. */
  next_file: number;
}

/** Files written in one refresh, so that the source can read in between. */
const MAX_FILES_AT_ONCE = 12;
/** A file that was read is deleted when it is this old: the inbox is a small part of the budget of files. */
const KEPT_US = 5 * 60_000_000;
const OWN_NAME = /^orders-[0-9a-z]{6}-\d{8}[-.]/;
/** Files missed while the process was down are written at the next start, as far back as this. */
const MAX_CATCH_UP_MS = 15 * 60_000;

/**
 * A folder into which a generator writes its files. The writer's state is stored after a file: a kill in between writes
 * the same file again. A lost state begins another stream, whose ids differ.
 */
export async function openOrderInbox(
  producer_folder: string,
  options: InboxOptions,
  now_ms: number,
  is_first_start: boolean,
): Promise<Inbox> {
  const location = options.location ?? join(producer_folder, "inbox");
  const folder = await withOperatingErrors({ location }, () => makeFolder(producer_folder, options.location));
  const state_file = join(producer_folder, "writer.json");
  const state = readState(state_file) ?? opening(options, now_ms, is_first_start);
  const { start_ms, history_slots } = state;
  const version_2_from_slot = Math.floor(history_slots * options.version_1_share);
  const stream = new OrderStream({ ...options, start_ms, version_2_from_slot });
  const uploads = new Uploads(stream, { history_slots, slots_per_history_file: options.slots_per_history_file });
  const store = (next_file: number): void => {
    state.next_file = next_file;
    replaceFileDurably(state_file, JSON.stringify(state));
  };

  /** Whether the last file of a stream that ends is uploaded completely; a restart repeats its last step. */
  let is_finished = false;

  async function writeNext(): Promise<void> {
    for (const upload of [...uploads.start(state.next_file), ...uploads.finish(state.next_file - 1)]) {
      await apply(folder, upload);
    }
    store(state.next_file + 1);
  }

  async function refresh(now_us: number, signal: AbortSignal): Promise<boolean> {
    const last_slot = Math.floor((now_us / 1000 - start_ms) / options.slot_ms) - 1;
    const until = options.is_until_drained ? uploads.history_files : uploads.fileOfSlot(last_slot) + 1;
    const oldest = Math.min(until, uploads.fileOfSlot(last_slot - Math.ceil(MAX_CATCH_UP_MS / options.slot_ms)));
    if (state.next_file >= uploads.history_files && state.next_file < oldest) {
      for (const upload of uploads.finish(state.next_file - 1)) await apply(folder, upload);
      store(oldest);
    }
    for (let written = 0; written < MAX_FILES_AT_ONCE && state.next_file < until && !signal.aborted; written += 1) {
      await writeNext();
    }
    if (!options.is_until_drained || state.next_file < until) return true;
    if (!is_finished) for (const upload of uploads.finish(until - 1)) await apply(folder, upload);
    is_finished = true;
    return false;
  }

  return {
    folder,
    refresh: (now_us, signal) => withOperatingErrors(folder, () => refresh(now_us, signal)),
    async tidy(read: readonly Listed[], now_us: number) {
      for (const { name, modified_at_us } of read) {
        if (OWN_NAME.test(name) && now_us - modified_at_us > KEPT_US)
          await folder.storage.delete(folder.locationOf(name));
      }
    },
  };
}

/** Runs work on files. The source waits for an operating error to pass, such as a full disk. */
async function withOperatingErrors<T>({ location }: Pick<Folder, "location">, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    const is_full = "code" in error && isDiskFullCode(String(error.code));
    const message = `Could not write the simulated orders to ${location}: ${error.message}`;
    throw new OperatingError(is_full ? "STORAGE_FULL" : "STORAGE_FAILED", message, {
      next_step: is_full ? "Free disk space, then try again." : "Check the disk, then try again.",
      cause: error,
    });
  }
}

async function makeFolder(producer_folder: string, location: string | null): Promise<Folder> {
  if (location !== null) return openFolder(location);
  const path = join(producer_folder, "inbox");
  await mkdir(path, { recursive: true });
  // A kill may have left a file under its temporary name.
  for (const name of await readdir(path)) if (name.endsWith(".tmp")) await rm(join(path, name), { force: true });
  return openFolder(path);
}

function opening({ history_ms, slot_ms }: InboxOptions, now_ms: number, is_first_start: boolean): WriterState {
  const history_slots = is_first_start ? Math.floor(history_ms / slot_ms) : 0;
  return { format: 1, start_ms: Math.floor(now_ms) - history_slots * slot_ms, history_slots, next_file: 0 };
}

function readState(file: string): WriterState | null {
  if (!existsSync(file)) return null;
  const text = readFileSync(file, "utf8");
  try {
    const state = JSON.parse(text) as WriterState;
    if (state.format === 1 && [state.start_ms, state.history_slots, state.next_file].every(Number.isInteger))
      return state;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new OperatingError(
    "INVALID_POSITION",
    `Invalid state of the simulated orders in ${file}: ${text.slice(0, 100)}`,
    {
      next_step: "Delete the file: the simulation then begins another stream of orders.",
    },
  );
}

async function apply(folder: Folder, upload: Upload): Promise<void> {
  await (folder.is_local ? applyOnDisk(folder, upload) : applyInStore(folder, upload));
}

/** Under a temporary name, then renamed: a reader sees the whole file or none. */
async function applyOnDisk(folder: Folder, upload: Upload): Promise<void> {
  const pathOf = (name: string): string => pathOfLocation(folder.locationOf(name));
  if (upload.kind === "rename") {
    // After a kill, the file may be renamed already.
    if (existsSync(pathOf(upload.from))) await rename(pathOf(upload.from), pathOf(upload.to));
    return;
  }
  const path = pathOf(upload.name);
  const file = await open(`${path}.tmp`, "w");
  try {
    await file.writeFile(upload.bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  syncFolder(dirname(path));
}

/** An object appears whole. The storage does not overwrite, so a file that was there is deleted first. */
async function applyInStore({ storage, locationOf }: Folder, upload: Upload): Promise<void> {
  if (upload.kind === "put") {
    await storage.delete(locationOf(upload.name));
    await storage.write(locationOf(upload.name), upload.bytes);
    return;
  }
  try {
    const bytes = await storage.read(locationOf(upload.from));
    await storage.delete(locationOf(upload.to));
    await storage.write(locationOf(upload.to), bytes);
    await storage.delete(locationOf(upload.from));
  } catch (error) {
    // After a kill, the file may be renamed already.
    if (!isMissing(error)) throw error;
  }
}
