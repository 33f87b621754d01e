import { DatabaseSync } from "node:sqlite";
import { openDatabase, transact } from "./database.ts";

/** A table's pointer, as the catalog's file has it. */
export interface StoredPointer {
  namespace: string;
  name: string;
  metadata_location: string;
}

export interface StoredCatalog {
  pointers: StoredPointer[];
  namespaces: { name: string; properties: Record<string, string> }[];
}

/** All of a catalog that no process has open, such as a copy of it. Writes nothing into the file. */
export function readCatalogFile(file: string): StoredCatalog {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("select namespace, name, metadata_location from tables order by namespace, name").all();
    const namespaces = database.prepare("select name, properties from namespaces order by name").all();
    return {
      pointers: tables.map((row) => ({ namespace: String(row["namespace"]), name: String(row["name"]), metadata_location: String(row["metadata_location"]) })),
      namespaces: namespaces.map((row) => ({ name: String(row["name"]), properties: JSON.parse(String(row["properties"])) as Record<string, string> })),
    };
  } finally {
    database.close();
  }
}

/** Every pointer and every namespace's properties in one transaction: all or none, durable when it returns. */
export function replaceCatalogContent(file: string, { pointers, namespaces }: StoredCatalog): void {
  const database = openDatabase(file);
  try {
    const move = database.prepare("update tables set metadata_location = ? where namespace = ? and name = ?");
    const change = database.prepare("update namespaces set properties = ? where name = ?");
    transact(database, () => {
      for (const { namespace, name, metadata_location } of pointers) move.run(metadata_location, namespace, name);
      for (const { name, properties } of namespaces) change.run(JSON.stringify(properties), name);
    });
  } finally {
    database.close();
  }
}
