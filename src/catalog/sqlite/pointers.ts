import { DatabaseSync } from "node:sqlite";
import { openDatabase, transact } from "./database.ts";

/** A table's pointer as stored in the catalog's file. */
export interface StoredPointer {
  namespace: string;
  name: string;
  metadata_location: string;
}

/** Size and checksum of a table file when it was committed; locations are canonical. */
export interface StoredChecksum {
  location: string;
  size_bytes: number;
  sha256: string;
  taken_by: string;
}

export interface StoredCatalog {
  /** Null if the catalog's file stores none. */
  checksums: StoredChecksum[] | null;
  pointers: StoredPointer[];
  namespaces: { name: string; properties: Record<string, string> }[];
}

/** The content of a catalog that no process has open, such as a copy. Writes nothing to the file. */
export function readCatalogFile(file: string): StoredCatalog {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database
      .prepare("select namespace, name, metadata_location from tables order by namespace, name")
      .all();
    const namespaces = database.prepare("select name, properties from namespaces order by name").all();
    return {
      pointers: tables.map((row) => ({
        namespace: String(row["namespace"]),
        name: String(row["name"]),
        metadata_location: String(row["metadata_location"]),
      })),
      checksums: hasChecksums(database)
        ? (database
            .prepare("select location, size_bytes, sha256, taken_by from file_checksums")
            .all() as unknown as StoredChecksum[])
        : null,
      namespaces: namespaces.map((row) => ({
        name: String(row["name"]),
        properties: JSON.parse(String(row["properties"])) as Record<string, string>,
      })),
    };
  } finally {
    database.close();
  }
}

function hasChecksums(database: DatabaseSync): boolean {
  return (
    database.prepare("select 1 from sqlite_schema where type = 'table' and name = 'file_checksums'").get() !== undefined
  );
}

/**
 * Replaces the given pointers, the properties of the given namespaces, and all checksums in one transaction: all or
 * none, durable when it returns.
 */
export function replaceCatalogContent(file: string, { pointers, namespaces, checksums }: StoredCatalog): void {
  const database = openDatabase(file);
  try {
    const move = database.prepare("update tables set metadata_location = ? where namespace = ? and name = ?");
    const change = database.prepare("update namespaces set properties = ? where name = ?");
    transact(database, () => {
      for (const { namespace, name, metadata_location } of pointers) move.run(metadata_location, namespace, name);
      for (const { name, properties } of namespaces) change.run(JSON.stringify(properties), name);
      if (checksums !== null) replaceChecksums(database, checksums);
    });
  } finally {
    database.close();
  }
}

function replaceChecksums(database: DatabaseSync, checksums: readonly StoredChecksum[]): void {
  database.exec("delete from file_checksums");
  const insert = database.prepare(
    "insert or ignore into file_checksums (location, size_bytes, sha256, taken_by) values (?, ?, ?, ?)",
  );
  for (const { location, size_bytes, sha256, taken_by } of checksums)
    insert.run(location, size_bytes, sha256, taken_by);
}
