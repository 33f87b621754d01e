import type { Storage } from "./storage.ts";

/** The storage with some of its methods replaced. */
export function overrideStorage(storage: Storage, methods: Partial<Storage>): Storage {
  return {
    read: (location) => storage.read(location),
    readPieces: (location) => storage.readPieces(location),
    statOf: (location) => storage.statOf(location),
    list: (location) => storage.list(location),
    write: (location, content) => storage.write(location, content),
    makeFolder: (location) => storage.makeFolder(location),
    sync: (location) => storage.sync(location),
    syncAll: (locations) => storage.syncAll(locations),
    isKnownDurable: (location) => storage.isKnownDurable(location),
    delete: (location) => storage.delete(location),
    removeFolder: (location) => storage.removeFolder(location),
    ...methods,
  };
}
