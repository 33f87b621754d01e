import { deleteOwnFiles } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { nameOfTable } from "./errors.ts";
import type { LoadedTable } from "./model.ts";
import type { CatalogStore } from "./store.ts";

/**
 * Why the files of a table that is being purged must stay, or null. Deleting is by folder, so the folder must be the table's
 * own: inside the warehouse, never the warehouse itself, and with no other table's metadata in it. That is asked before the
 * table is dropped.
 */
export async function reasonToKeepFiles(table: LoadedTable, warehouse: string, store: CatalogStore): Promise<string | null> {
  const { location, properties } = table.metadata;
  if (properties["gc.enabled"] === "false") return "its property gc.enabled is false";
  if (!location.startsWith(`${warehouse}/`) || location.includes("/../")) return `its folder ${location} is not inside the warehouse ${warehouse}`;
  for await (const other of pointers(store, [])) {
    if (other.pointer !== table.metadata_location && other.pointer.startsWith(`${location}/`)) {
      return `its folder ${location} also holds ${other.name}`;
    }
  }
  return null;
}

/** Returns how many files it deleted. Can be repeated after a failure. */
export async function deleteFiles(location: string, storage: Storage, warehouse: string): Promise<number> {
  let count = 0;
  for await (const file of storage.list(location)) {
    const refused = await deleteOwnFiles({ storage, warehouse }, location, [file.location]);
    count += 1 - refused.length;
  }
  await storage.removeFolder(location);
  return count;
}

async function* pointers(store: CatalogStore, parent: readonly string[]): AsyncIterable<{ name: string; pointer: string }> {
  for (const namespace of await store.childNamespaces(parent)) {
    for (const name of await store.tableNames(namespace)) {
      const pointer = await store.pointer({ namespace, name });
      if (pointer !== null) yield { name: nameOfTable({ namespace, name }), pointer };
    }
    yield* pointers(store, namespace);
  }
}
