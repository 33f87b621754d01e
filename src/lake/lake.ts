import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolderDurably, replaceFileDurably } from "../base/durable-file.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import type { LakeKind } from "../producer/producer.ts";
import { locationOfPath } from "../storage/file/location.ts";
import { checkLocation, locationOf, type Found, type LakeIdentity } from "./identity.ts";

/**
 * `embedded`: log, catalog and engine run in one process. `cluster`: Kafka, Hive and Spark provide them.
 */
export type Profile = "embedded" | "cluster";

/**
 * A lake is a folder with the log, the catalog and the table files of one pipeline and one kind of data. The data
 * folder (`--data`, default `.coinlake`) has one lake per kind, because real and simulated data never mix. The folder
 * of a lake in a cluster has only local state: alerts and compiled dbt models.
 */
export interface Lake {
  /**
   * Null for a lake of an earlier version, until it is first opened for writing, and for a lake in a cluster.
   */
  id: string | null;
  /**
   * Name within the data folder: `live`, `simulated`, `replay-<recording>`, each with `cluster-` before it in a
   * cluster.
   */
  name: string;
  kind: LakeKind;
  pipeline: string;
  profile: Profile;
  /** Location of the tables' files, on this disk or in S3. */
  warehouse: string;
  folder: string;
  log_file: string;
  catalog_file: string;
  dbt_folder: string;
}

/** Properties of a new lake; an existing lake must match them. */
export interface LakeRequest {
  name: string;
  kind: LakeKind;
  pipeline: string;
  profile?: Profile;
  /** S3 location; null for the lake's folder, or for the location of an existing lake. */
  warehouse?: string | null;
}

/** The content of lake.json. */
export interface LakeDescription extends Partial<LakeIdentity> {
  format: 1;
  kind: LakeKind;
  pipeline: string;
  created_at: string;
  /** Default: embedded. */
  profile?: Profile;
  /** Default: the lake's folder. */
  warehouse?: string;
  /** The lake and backup from which this lake was restored. */
  restored_from?: { lake_id: string; backup: number; created_at: string };
}

export const DEFAULT_DATA_FOLDER = ".coinlake";
/** Namespace property that names the lake, because a metastore may have other users. */
export const LAKE_PROPERTY = "coinlake.lake";
const DESCRIPTION_FILE = "lake.json";
/** Next step for a lake without its description. */
const BRING_BACK =
  "Restore the lake from a backup with `npm run -s coinlake -- restore`, or restore a copy of its lake.json";
const CURRENT_FILE = "current";

function paths(data_folder: string, name: string, description: LakeDescription): Lake {
  const folder = join(resolve(data_folder), name);
  return {
    id: description.id ?? null,
    name,
    kind: description.kind,
    pipeline: description.pipeline,
    profile: description.profile ?? "embedded",
    warehouse: description.warehouse ?? locationOfPath(join(locationIn(folder, description), "warehouse")),
    folder,
    log_file: join(folder, "log.db"),
    catalog_file: join(folder, "catalog.db"),
    dbt_folder: join(folder, "dbt"),
  };
}

/** Spelled as in the tables' locations. */
function locationIn(folder: string, description: LakeDescription): string {
  if (description.location !== undefined) return description.location;
  return existsSync(folder) ? locationOf(foundAt(folder, "", description)) : folder;
}

function foundAt(folder: string, name: string, { id, location, moving_to, warehouse }: LakeDescription): Found {
  const identity =
    id === undefined || location === undefined ? null : { id, location, ...(moving_to !== undefined && { moving_to }) };
  return { name, folder, identity, warehouse: warehouse ?? null };
}

/** Throws LAKE_MOVED. The folder of a lake in a cluster contains no absolute locations. */
function checkPlace(data_folder: string, name: string, description: LakeDescription): void {
  if (description.profile !== "cluster") checkLocation(foundAt(join(resolve(data_folder), name), name, description));
}

/** Null if the folder has no lake. Throws LAKE_UNREADABLE. */
export function readDescription(data_folder: string, name: string): LakeDescription | null {
  const file = join(data_folder, name, DESCRIPTION_FILE);
  if (!existsSync(file)) return null;
  let reason = "it is damaged or of another version";
  try {
    const { sha256, ...description } = JSON.parse(readFileSync(file, "utf8")) as WrittenDescription;
    const is_known = description.format === 1 && description.kind && description.pipeline;
    // Earlier versions wrote no digest.
    if (is_known && (sha256 === undefined || sha256 === digestOf(description))) return description;
    if (is_known) reason = "it was changed after Coinlake wrote it";
  } catch {
    // Reported below, like other invalid descriptions.
  }
  throw new OperatingError("LAKE_UNREADABLE", `Cannot read the lake description ${file}: ${reason}`, {
    next_step: `${BRING_BACK}; or use another folder with --data.`,
  });
}

/** The description with its digest: another kind or pipeline in it would mix data that must never be mixed. */
type WrittenDescription = LakeDescription & { sha256?: string };

function digestOf(description: LakeDescription): string {
  const fields = Object.entries(description).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}

/** Names of the lakes in a data folder, alphabetically. Throws FOLDER_NOT_READABLE. */
export function listLakes(data_folder: string): string[] {
  if (!existsSync(data_folder)) return [];
  try {
    return readdirSync(data_folder)
      .filter((name) => !name.startsWith(".") && existsSync(join(data_folder, name, DESCRIPTION_FILE)))
      .sort();
  } catch (error) {
    throw new OperatingError("FOLDER_NOT_READABLE", `Cannot read the data folder ${data_folder}: ${messageOf(error)}`, {
      next_step: "Give the folder that holds the lakes with --data.",
      cause: error,
    });
  }
}

/**
 * Opens the lake, or creates it. Throws LAKE_OF_ANOTHER_KIND, LAKE_DESCRIPTION_MISSING if the folder contains files of
 * a lake without its description, LAKE_ELSEWHERE, LAKE_MOVED.
 */
export function openOrCreateLake(
  data_folder: string,
  { name, kind, pipeline, profile = "embedded", warehouse = null }: LakeRequest,
): Lake {
  const found = readDescription(data_folder, name);
  if (found === null) {
    const created: LakeDescription = {
      format: 1,
      kind,
      pipeline,
      created_at: new Date().toISOString(),
      profile,
      ...(warehouse !== null && { warehouse }),
    };
    // Rejects paths that engines misread, before creating anything.
    const { folder } = paths(data_folder, name, { ...created, location: join(resolve(data_folder), name) });
    rejectFilled(folder);
    makeFolder(folder);
    const description =
      profile === "cluster" ? created : { ...created, id: randomUUID(), location: realpathSync(folder) };
    writeDescription(folder, description);
    return paths(data_folder, name, description);
  }
  checkPlace(data_folder, name, found);
  const lake = paths(data_folder, name, found);
  if (lake.kind !== kind || lake.pipeline !== pipeline || lake.profile !== profile) {
    throw new OperatingError(
      "LAKE_OF_ANOTHER_KIND",
      `The lake "${name}" in ${data_folder} holds ${lake.kind} data of ${lake.pipeline} (${lake.profile}), not ` +
        `${kind} data of ${pipeline} (${profile})`,
      { next_step: "Use another folder with --data: real, replayed and simulated data never share a lake." },
    );
  }
  if (warehouse !== null && lake.warehouse !== warehouse) {
    throw new OperatingError(
      "LAKE_ELSEWHERE",
      `The tables of the lake "${name}" are in ${lake.warehouse}, not in ${warehouse}`,
      {
        next_step: "Omit --warehouse to continue with this lake, or use another folder with --data for a new one.",
      },
    );
  }
  return lake;
}

/** Gives a lake of an earlier version its id and its location. Only for the process that has claimed it. */
export function ensureIdentity({ folder, profile }: Lake): void {
  const description = readDescription(dirname(folder), basename(folder));
  if (description === null || description.id !== undefined || profile === "cluster") return;
  writeDescription(folder, { ...description, id: randomUUID(), location: locationIn(folder, description) });
}

/** Description of an existing lake. Throws LAKE_UNREADABLE, and LAKE_NOT_FOUND if it was deleted meanwhile. */
export function descriptionOf(folder: string): LakeDescription {
  const description = readDescription(dirname(folder), basename(folder));
  if (description !== null) return description;
  throw new OperatingError("LAKE_NOT_FOUND", `No lake found in ${folder}`, {
    next_step: "Give its data folder with --data, and its name with --lake.",
  });
}

/** The description with a new identity, for a lake at a new location. */
export function describedAt(description: LakeDescription, identity: LakeIdentity): LakeDescription {
  const { moving_to: _finished, ...kept } = description;
  return { ...kept, ...identity };
}

export function writeDescription(folder: string, description: LakeDescription): void {
  // As read back: JSON has no undefined values.
  const written = JSON.parse(JSON.stringify(description)) as LakeDescription;
  const text = JSON.stringify({ ...written, sha256: digestOf(written) } satisfies WrittenDescription, null, 2);
  replaceFileDurably(join(folder, DESCRIPTION_FILE), `${text}\n`);
}

/**
 * The lake of a command: the named one, else the one last started in this data folder, else the only one. Throws
 * LAKE_NOT_FOUND with the names of the existing lakes, and LAKE_MOVED unless `is_moved_ok`.
 */
export function findLake(data_folder: string, name: string | null, { is_moved_ok = false } = {}): Lake {
  const names = listLakes(data_folder);
  const wanted = name ?? currentLake(data_folder) ?? (names.length === 1 ? (names[0] ?? null) : null);
  const description = wanted === null ? null : readDescription(data_folder, wanted);
  if (wanted !== null && description !== null) {
    if (!is_moved_ok) checkPlace(data_folder, wanted, description);
    return paths(data_folder, wanted, description);
  }
  const missing = wanted === null ? "No lake found" : `Unknown lake "${wanted}"`;
  throw new OperatingError(
    "LAKE_NOT_FOUND",
    names.length > 0 && !wanted
      ? `No lake selected: ${resolve(data_folder)} has several lakes and does not record the last one started`
      : `${missing} in ${resolve(data_folder)}`,
    {
      next_step:
        names.length > 0
          ? `Choose one with --lake: ${names.join(", ")}.`
          : "Start one with `npm start`, or give its data folder with --data.",
    },
  );
}

/** Makes this the default lake of commands. Returns the name of another lake that was the default; null without one. */
export function rememberAsCurrent(data_folder: string, lake: Lake): string | null {
  const before = currentLake(data_folder);
  replaceFileDurably(join(data_folder, CURRENT_FILE), `${lake.name}\n`);
  return before === null || before === lake.name || !listLakes(data_folder).includes(before) ? null : before;
}

function currentLake(data_folder: string): string | null {
  const file = join(data_folder, CURRENT_FILE);
  return existsSync(file) ? readFileSync(file, "utf8").trim() : null;
}

/** Entries of a data folder that are no lakes. */
const RESERVED_NAMES = new Set([CURRENT_FILE, "cluster"]);

/** The name, if it can be that of a folder in a data folder. Throws INVALID_LAKE_NAME. */
export function checkLakeName(name: string): string {
  const is_plain = /^[^./\\\0][^/\\\0]*$/.test(name) && name.trim() === name;
  if (is_plain && !RESERVED_NAMES.has(name)) return name;
  throw new OperatingError("INVALID_LAKE_NAME", `Invalid name of a lake: ${JSON.stringify(name)}`, {
    next_step: "Use a name without slashes that does not begin with a dot; --data gives the folder.",
  });
}

/** Files that remain if a start was killed before it wrote the description. */
const OF_A_NEW_LAKE = new Set([`${DESCRIPTION_FILE}.tmp`, "owner.db", "owner.db-journal", "owner.txt"]);

function rejectFilled(folder: string): void {
  if (!existsSync(folder)) return;
  const found = readdirSync(folder).find((name) => !OF_A_NEW_LAKE.has(name));
  if (found === undefined) return;
  const message = `Cannot create a lake in ${folder}: it contains ${found} but no ${DESCRIPTION_FILE}`;
  throw new OperatingError("LAKE_DESCRIPTION_MISSING", message, {
    next_step: `${BRING_BACK}; for a new lake, use another folder with --data.`,
  });
}

function makeFolder(folder: string): void {
  try {
    makeFolderDurably(folder);
  } catch (error) {
    throw new OperatingError("FOLDER_NOT_WRITABLE", `Cannot create the folder ${folder}: ${(error as Error).message}`, {
      next_step: "Give a writable folder with --data.",
      cause: error,
    });
  }
}
