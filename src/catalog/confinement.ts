import { canonicalScheme } from "../storage/location.ts";
import { badRequest } from "../iceberg/errors.ts";
import type { TableMetadata, Update } from "../iceberg/model.ts";

/**
 * Locations that clients may name. A table's folder is below the warehouse and does not overlap another table's folder.
 * The files that the table's metadata names are below that folder. Otherwise a client could make the catalog, its
 * engines and its maintenance read, overwrite or delete files of other tables and programs. Pure.
 */

/** Properties that make writers use other folders. */
const PATH_PROPERTIES = [
  "write.data.path",
  "write.metadata.path",
  "write.object-storage.path",
  "write.folder-storage.path",
];

/** Characters that engines misread in a location, or decode before opening it. */
const UNSAFE_CHARACTERS = /[\p{Cc}\\%#?*[\]]/u;

/**
 * Canonical spelling of a folder's location. Empty segments within the path remain, so that they are rejected: in S3
 * they name another object.
 */
export function canonicalFolder(location: string): string {
  return canonicalScheme(location).replace(/(?<!:\/)\/+$/, "");
}

/** Whether the location is strictly below the folder, in every spelling of the path between them. */
export function isBelow(location: string, folder: string): boolean {
  const start = `${canonicalFolder(folder)}/`;
  const canonical = canonicalFolder(location);
  if (!canonical.startsWith(start)) return false;
  const below = canonical.slice(start.length);
  return !UNSAFE_CHARACTERS.test(below) && below.split("/").every((segment) => !["", ".", ".."].includes(segment));
}

/** Throws INVALID_REQUEST unless the location is strictly below the folder. */
export function checkBelow(location: unknown, folder: string, what: string): void {
  if (typeof location !== "string" || !isBelow(location, folder)) {
    throw badRequest(`Invalid ${what}: ${JSON.stringify(location)} is not a location below ${folder}`);
  }
}

/**
 * Whether the folders are equal or one contains the other. Compares without case and Unicode composition, which some
 * file systems ignore.
 */
export function overlaps(a: string, b: string): boolean {
  const fold = (location: string) => `${canonicalFolder(location).normalize("NFC").toLowerCase()}/`;
  return fold(a).startsWith(fold(b)) || fold(b).startsWith(fold(a));
}

/** All folders that may contain files of the table: a moved table has files in its earlier folder. */
export function foldersOf(metadata: TableMetadata, pointer: string): string[] {
  const files = [pointer, ...filesNamedIn(metadata).map(([, location]) => location)];
  const properties = PATH_PROPERTIES.flatMap((name) => metadata.properties[name] ?? []);
  const folders = files.flatMap((file) => (typeof file === "string" ? tableFolderOf(file) : []));
  return [...new Set([metadata.location, ...folders, ...properties].map(canonicalFolder))];
}

/** The table's folder, given a file below its `metadata/`. */
export function tableFolderOf(file: string): string {
  const folder = canonicalFolder(file).replace(/\/[^/]*$/, "");
  return folder.replace(/\/metadata$/, "");
}

/**
 * Throws INVALID_REQUEST if a client's metadata names a file outside the table's folder, or a folder outside the
 * warehouse.
 */
export function checkMetadata(metadata: TableMetadata, metadata_location: string, warehouse: string): void {
  checkBelow(metadata.location, warehouse, "table location");
  checkBelow(metadata_location, metadata.location, "metadata file");
  for (const [what, location] of filesNamedIn(metadata)) checkBelow(location, metadata.location, what);
  checkProperties(metadata.properties, [metadata.location]);
}

/**
 * Throws INVALID_REQUEST if an update names a file outside the table's folders: the folder before the commit (null for
 * a new table) and the folder after it. Files that the table named before are not checked again.
 */
export function checkUpdates(updates: readonly Update[], before: string | null, after: string): void {
  const folders = before === null ? [after] : [before, after];
  const check = (location: unknown, what: string): void => {
    if (!folders.some((folder) => typeof location === "string" && isBelow(location, folder)))
      checkBelow(location, after, what);
  };
  for (const update of updates) {
    if (update.action === "add-snapshot")
      for (const [what, location] of listsOf(fieldsOf(update["snapshot"]))) check(location, what);
    if (update.action === "set-statistics") check(fieldsOf(update["statistics"])["statistics-path"], "statistics file");
    if (update.action === "set-partition-statistics")
      check(fieldsOf(update["partition-statistics"])["statistics-path"], "statistics file");
    if (update.action === "set-properties") checkProperties(fieldsOf(update["updates"]), folders);
  }
}

function checkProperties(properties: Readonly<Record<string, unknown>>, folders: readonly string[]): void {
  for (const name of PATH_PROPERTIES) {
    const location = properties[name];
    if (location === undefined || folders.some((folder) => typeof location === "string" && isBelow(location, folder)))
      continue;
    checkBelow(location, folders.at(-1) ?? "", `property ${name}`);
  }
}

/** Every file that the metadata names, with its kind. */
function filesNamedIn(metadata: TableMetadata): [what: string, location: unknown][] {
  const statistics = ["statistics", "partition-statistics"].flatMap((key) => (metadata[key] ?? []) as unknown[]);
  return [
    ...metadata.snapshots.flatMap((snapshot) => listsOf(fieldsOf(snapshot))),
    ...metadata["metadata-log"].map((entry): [string, unknown] => [
      "entry of the metadata log",
      fieldsOf(entry)["metadata-file"],
    ]),
    ...statistics.map((file): [string, unknown] => ["statistics file", fieldsOf(file)["statistics-path"]]),
  ];
}

/** Manifest locations. Version 1 may list manifests instead of a manifest list. */
function listsOf(snapshot: Readonly<Record<string, unknown>>): [what: string, location: unknown][] {
  const manifests = Array.isArray(snapshot["manifests"]) ? (snapshot["manifests"] as unknown[]) : [];
  const list = snapshot["manifest-list"];
  const lists: [string, unknown][] = list == null ? [] : [["manifest list", list]];
  return [...lists, ...manifests.map((location): [string, unknown] => ["manifest", location])];
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
