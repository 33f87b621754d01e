import { overrideStorage } from "./override.ts";
import type { Storage } from "./storage.ts";

/** The storage, with a listener that it calls after each file deletion. */
export function withDeletionListener(storage: Storage, deleted: (location: string) => void): Storage {
  return overrideStorage(storage, {
    async delete(location) {
      await storage.delete(location);
      deleted(location);
    },
  });
}
