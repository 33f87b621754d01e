import type { Storage } from "./storage.ts";

/** The storage; it calls `deleted` after each file that it deletes. */
export function withDeletionListener(storage: Storage, deleted: (location: string) => void): Storage {
  return {
    read: (location) => storage.read(location),
    readPieces: (location) => storage.readPieces(location),
    statOf: (location) => storage.statOf(location),
    write: (location, bytes) => storage.write(location, bytes),
    makeFolder: (location) => storage.makeFolder(location),
    sync: (location) => storage.sync(location),
    syncAll: (locations) => storage.syncAll(locations),
    isKnownDurable: (location) => storage.isKnownDurable(location),
    removeFolder: (location) => storage.removeFolder(location),
    list: (location) => storage.list(location),
    async delete(location) {
      await storage.delete(location);
      deleted(location);
    },
  };
}
