import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { OperatingError } from "../base/errors.ts";
import { pathOfLocation } from "../storage/file/location.ts";

/**
 * A lake's id and location. Iceberg's metadata names every file by its absolute location, so a copied or moved lake
 * still refers to the files of the original folder, which a writer might delete. Hence a lake records its folder and
 * opens only there.
 */
export interface LakeIdentity {
  /** A UUID. A copy made by hand has the same one, a restored backup another. */
  id: string;
  /** Real path of the lake's folder, as the locations of its tables spell it. */
  location: string;
  /** Set while `move` is under way: true once a lake with this id is there. */
  moving_to?: string;
}

export interface Found {
  name: string;
  /** The folder that was opened. */
  folder: string;
  /** Null for a lake of an earlier version that has none yet. */
  identity: LakeIdentity | null;
  /** Null where the tables lie in the lake's own folder. */
  warehouse: string | null;
}

/** Throws LAKE_MOVED where the lake belongs elsewhere. Writes nothing. */
export function checkLocation(found: Found): void {
  const { folder, identity } = found;
  const location = identity?.location ?? locationInPointers(found) ?? folder;
  if (!isSameFolder(location, folder)) throw movedAway(found, location);
  const moved_to = identity === null ? null : movedFrom(folder, identity);
  if (moved_to !== null) throw movedOn(found, moved_to);
}

/** Where a lake without an identity has its tables: what its pointers say, else where it is. */
export function locationOf(found: Found): string {
  return locationInPointers(found) ?? realpathSync(found.folder);
}

/** By real path, or by device and inode: a symbolic link, a bind mount or another case leads to the same folder. */
export function isSameFolder(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    if (realpathSync(a) === realpathSync(b)) return true;
    const [one, other] = [statSync(a, { bigint: true }), statSync(b, { bigint: true })];
    return one.ino !== 0n && one.ino === other.ino && one.dev === other.dev;
  } catch {
    // One of them does not exist.
    return false;
  }
}

/**
 * Whether a path, which need not exist yet, is the folder or lies in it, with symbolic links and other spellings
 * resolved.
 */
export function isInside(path: string, folder: string): boolean {
  let existing = resolve(path);
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  for (let above = realpathSync(existing); ; above = dirname(above)) {
    if (isSameFolder(above, folder)) return true;
    if (dirname(above) === above) return false;
  }
}

/**
 * Where the lake of this folder went: set where `move` has finished, and the folder is what it left. A lake that
 * somebody moved by hand to where it was going is not left over.
 */
export function movedFrom(folder: string, { id, moving_to }: Partial<LakeIdentity>): string | null {
  if (id === undefined || moving_to === undefined || idAt(moving_to) !== id) return null;
  return isInside(moving_to, folder) ? null : moving_to;
}

/** The id of the lake in a folder; null where there is none. */
export function idAt(folder: string): string | null {
  try {
    return (JSON.parse(readFileSync(join(folder, "lake.json"), "utf8")) as { id?: string }).id ?? null;
  } catch {
    return null;
  }
}

const WAREHOUSE_FOLDER = "/warehouse/";

/**
 * The folder that the catalog's pointers lead to; null where it has no table, or its tables lie elsewhere than in
 * lakes' folders.
 */
function locationInPointers({ folder, warehouse }: Found): string | null {
  if (warehouse !== null) return null;
  const homes = pointersIn(join(folder, "catalog.db")).flatMap(homesIn);
  return homes.find((home) => isSameFolder(home, folder)) ?? homes[0] ?? null;
}

/** The folders whose warehouse a pointer may lie in, the innermost first. */
function homesIn(pointer: string): string[] {
  if (!pointer.startsWith("file:")) return [];
  const path = pathOfLocation(pointer).replaceAll("\\", "/");
  const homes: string[] = [];
  for (let at = path.lastIndexOf(WAREHOUSE_FOLDER); at > 0; at = path.lastIndexOf(WAREHOUSE_FOLDER, at - 1))
    homes.push(path.slice(0, at));
  return homes;
}

/** Without making a file beside the catalog: a WAL that nobody has open is empty or needs no reading here. */
function pointersIn(catalog_file: string): string[] {
  if (!existsSync(catalog_file)) return [];
  const is_open = existsSync(`${catalog_file}-wal`);
  const url = pathToFileURL(catalog_file);
  if (!is_open) url.searchParams.set("immutable", "1");
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    return database
      .prepare("select metadata_location from tables")
      .all()
      .map((row) => String(row["metadata_location"]));
  } catch {
    // No catalog yet, or a damaged one, of which opening it tells in better words.
    return [];
  } finally {
    database.close();
  }
}

function movedAway({ name, folder, identity, warehouse }: Found, location: string): OperatingError {
  const is_copy = existsSync(join(location, "lake.json")) && (identity === null || idAt(location) === identity.id);
  const target = `--data ${quoted(dirname(folder))} --lake ${name}`;
  if (!is_copy) {
    return new OperatingError(
      "LAKE_MOVED",
      `The lake "${name}" was moved: its recorded location is ${location}, but it was opened at ${folder}`,
      {
        next_step: `Run \`npm run -s coinlake -- move ${target}\` to update its location, or move the folder back.`,
      },
    );
  }
  const shared = warehouse === null ? "" : `; both have their tables in ${warehouse}`;
  return new OperatingError(
    "LAKE_MOVED",
    `The lake at ${folder} is a copy of the lake "${name}" at ${location}, which still exists${shared}`,
    {
      next_step:
        warehouse === null
          ? `Use the original with --data ${quoted(dirname(location))}; for a second lake use \`backup\` and \`restore\`, or run ` +
            `\`npm run -s coinlake -- move --copy ${target}\` to make this copy a lake with a new id.`
          : `Use the original with --data ${quoted(dirname(location))}; for a second lake use \`backup\` and ` +
            `\`restore\`.`,
    },
  );
}

function movedOn({ name, folder }: Found, moved_to: string): OperatingError {
  return new OperatingError("LAKE_MOVED", `The lake "${name}" was moved from ${folder} to ${moved_to}`, {
    next_step: `Use --data ${quoted(dirname(moved_to))}; the leftovers in ${folder} may be deleted.`,
  });
}

function quoted(path: string): string {
  return /[^\w./-]/.test(path) ? JSON.stringify(path) : path;
}
