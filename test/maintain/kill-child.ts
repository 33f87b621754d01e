import { join } from "node:path";
import { Catalog } from "../../src/catalog/catalog.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import { systemClock } from "../../src/base/clock.ts";
import { MIN_ORPHAN_AGE_MS } from "../../src/maintain/orphans.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { ACTIONS, maintainTable } from "../../src/maintain/run.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { crashAt, noop } from "../../src/base/failpoints.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";

/**
 * Arguments: FOLDER TABLE. Runs every maintenance action on a table of a lake that other processes write at the same
 * time; crashes at the failpoint in the environment.
 */
const [folder = "", table = ""] = process.argv.slice(2);
const instruction = process.env["COINLAKE_KILL_AT"];
const step = instruction ? crashAt(instruction) : noop;

const storage = new FileStorage();
const catalog = new Catalog({
  store: new SqliteStore(join(folder, "catalog.sqlite")),
  storage,
  warehouse: locationOfPath(join(folder, "warehouse")),
  step,
});
const store = new MaintenanceStore(folder);
await maintainTable(
  {
    catalog,
    storage,
    warehouse: locationOfPath(join(folder, "warehouse")),
    clock: systemClock,
    pending: store,
    engine: { memory_limit_mb: 128, threads: 1, s3: null },
    step,
    signal: new AbortController().signal,
    exclusively: (_table, commit) => commit(),
  },
  store,
  table,
  ACTIONS,
  { compact: { fan_in: 4 }, expire: { policy: keepWithin(0) }, orphans: { older_than_ms: MIN_ORPHAN_AGE_MS } },
);
store.close();
await catalog.close();
