import { overrideStorage } from "./override.ts";
import type { Storage } from "./storage.ts";

/** The storage; it calls `deleted` after each file that it deletes. */
export function withDeletionListener(storage: Storage, deleted: (location: string) => void): Storage {
  return overrideStorage(storage, {
    async delete(location) {
      await storage.delete(location);
      deleted(location);
    },
  });
}
