import { Catalog } from "../../catalog/catalog.ts";
import { startCatalogServer, type CatalogServer } from "../../catalog/server.ts";
import { SqliteStore } from "../../catalog/sqlite/store.ts";
import type { Lake } from "../../lake/lake.ts";
import { openSqliteLog } from "../../log/sqlite/log.ts";
import type { Log } from "../../log/log.ts";
import { nobodyListens, type StepListener } from "../../steps.ts";
import { locationOfPath } from "../../storage/file/location.ts";
import { FileStorage } from "../../storage/file/storage.ts";
import type { Storage } from "../../storage/storage.ts";

/** The parts of an embedded lake, open in this process. Several processes may have the same lake open. */
export interface OpenLake {
  lake: Lake;
  storage: Storage;
  catalog: Catalog;
  server: CatalogServer;
  log: Log;
  close(): Promise<void>;
}

export interface OpenLakeOptions {
  /** Port of the REST catalog; 0 for any free one. */
  catalog_port?: number;
  step?: StepListener;
  /** Told of what went wrong without losing anything, as a sentence. */
  warn?: (message: string) => void;
}

/** Throws what its parts throw: PORT_TAKEN, LOG_CANNOT_OPEN, ... */
export async function openLake(lake: Lake, options: OpenLakeOptions = {}): Promise<OpenLake> {
  const { catalog_port = 0, step = nobodyListens, warn = () => {} } = options;
  const storage = new FileStorage();
  const catalog = new Catalog({
    store: new SqliteStore(lake.catalog_file),
    storage,
    warehouse: locationOfPath(lake.warehouse_folder),
    step,
    warn: (warning) => warn(`${warning.message} ${warning.next_step}`),
  });
  let log: Log | null = null;
  try {
    log = openSqliteLog({ file: lake.log_file, step });
    const server = await startCatalogServer({ catalog, port: catalog_port });
    return assembled({ lake, storage, catalog, server, log });
  } catch (error) {
    await log?.close();
    await catalog.close();
    throw error;
  }
}

function assembled(parts: Omit<OpenLake, "close">): OpenLake {
  const { server, log, catalog } = parts;
  return {
    ...parts,
    async close() {
      await server.close();
      await log.close();
      // Last, and waited for: it tidies up after the commits that stood.
      await catalog.close();
    },
  };
}
