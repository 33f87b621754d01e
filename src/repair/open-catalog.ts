import { explain } from "../base/explain.ts";
import type { StepListener } from "../base/failpoints.ts";
import { Catalog } from "../catalog/catalog.ts";
import type { CatalogServer } from "../catalog/server.ts";
import { SqliteChecksums } from "../catalog/sqlite/checksums.ts";
import { SqliteStore } from "../catalog/sqlite/store.ts";
import type { Clock } from "../base/clock.ts";
import { ChecksumLedger } from "../catalog/checksum-ledger.ts";
import { createMakeDurable } from "../catalog/durable-snapshot.ts";
import { manifestInspection } from "../catalog/inspection.ts";
import type { Lake } from "../lake/lake.ts";
import type { Storage } from "../storage/storage.ts";

/** The catalog of a lake whose log may be missing. */
export interface RepairedCatalog {
  catalog: Catalog;
  server: CatalogServer;
}

/** Opens a lake's catalog without its log: opening the lake would create a missing log. */
export function openCatalog(
  lake: Lake,
  { storage, clock, step, say }: { storage: Storage; clock: Clock; step: StepListener; say(text: string): void },
): { catalog: Catalog; close(): Promise<void> } {
  const store = new SqliteStore(lake.catalog_file);
  const ledger = new ChecksumLedger(storage, new SqliteChecksums(lake.catalog_file));
  const catalog = new Catalog({
    store,
    storage,
    clock,
    step,
    warn: (warning) => say(explain(warning)),
    warehouse: lake.warehouse,
    inspect: manifestInspection(storage, { recheck_ms: 0 }),
    makeDurable: createMakeDurable(storage),
    committed: (tables) => ledger.record(tables),
  });
  return {
    catalog,
    async close() {
      await catalog.close();
      await ledger.close();
    },
  };
}
