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
  /** A UUID. A copy made by hand has the same id, a restored backup a new one. */
  id: string;
  /** Real path of the lake's folder, spelled as in the tables' locations. */
  location: string;
  /** Target of a move in progress; the move is complete once a lake with this id exists there. */
  moving_to?: string;
}

export interface Found {
  name: string;
  /** The folder that was opened. */
  folder: string;
  /** Null for a lake of an earlier version without identity. */
  identity: LakeIdentity | null;
  /** Null if the tables are in the lake's folder. */
  warehouse: string | null;
}

/** Throws LAKE_MOVED if the recorded location differs. Read-only. */
export function checkLocation(found: Found): void {
  const { folder, identity } = found;
  const location = identity?.location ?? locationInPointers(found) ?? folder;
  if (!isSameFolder(location, folder)) throw movedAway(found, location);
  const moved_to = identity === null ? null : movedFrom(folder, identity);
  if (moved_to !== null) throw movedOn(found, moved_to);
}

/** Location of a lake without identity: the one in its catalog pointers, else its present folder. */
export function locationOf(found: Found): string {
  return locationInPointers(found) ?? realpathSync(found.folder);
}

/**
 * Compares real paths, then device and inode, because a symbolic link, a bind mount or another case names the same
 * folder.
 */
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
 * Whether a path, which need not exist, is the folder or is inside it; resolves symbolic links.
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
 * The folder to which a finished `move` moved this lake; null if it did not, or if the lake was moved there by hand.
 */
export function movedFrom(folder: string, { id, moving_to }: Partial<LakeIdentity>): string | null {
  if (id === undefined || moving_to === undefined || idAt(moving_to) !== id) return null;
  return isInside(moving_to, folder) ? null : moving_to;
}

/** The id of the lake in a folder; null if there is no lake. */
export function idAt(folder: string): string | null {
  try {
    return (JSON.parse(readFileSync(join(folder, "lake.json"), "utf8")) as { id?: string }).id ?? null;
  } catch {
    return null;
  }
}

const WAREHOUSE_FOLDER = "/warehouse/";

/**
 * The lake folder that the catalog's pointers name; null without tables, or with tables outside lake folders.
 */
function locationInPointers({ folder, warehouse }: Found): string | null {
  if (warehouse !== null) return null;
  const homes = pointersIn(join(folder, "catalog.db")).flatMap(homesIn);
  return homes.find((home) => isSameFolder(home, folder)) ?? homes[0] ?? null;
}

/** Candidate lake folders of a pointer, innermost first. */
function homesIn(pointer: string): string[] {
  if (!pointer.startsWith("file:")) return [];
  const path = pathOfLocation(pointer).replaceAll("\\", "/");
  const homes: string[] = [];
  for (let at = path.lastIndexOf(WAREHOUSE_FOLDER); at > 0; at = path.lastIndexOf(WAREHOUSE_FOLDER, at - 1))
    homes.push(path.slice(0, at));
  return homes;
}

/** Creates no file beside the catalog; the WAL of a closed database need not be read here. */
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
    // The catalog is missing or damaged; opening it reports a more specific error.
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
          ? `Use the original with --data ${quoted(dirname(location))}; for a second lake use \`backup\` and ` +
            `\`restore\`, or run \`npm run -s coinlake -- move --copy ${target}\` to give this copy a new id.`
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
