import { crypto } from "../pipelines/crypto.ts";
import { simulated } from "../producers/simulated.ts";
import { Catalog } from "../src/catalog/catalog.ts";
import type { LoadedTable, TableChange, Update } from "../src/iceberg/model.ts";
import { startCatalogServer } from "../src/catalog/server.ts";
import { SqliteStore } from "../src/catalog/sqlite/store.ts";
import type { Clock } from "../src/base/clock.ts";
import { openParquetWriter } from "../src/duckdb/parquet.ts";
import type { OpenLake } from "../src/lake/open.ts";
import { createIngest, type Ingest } from "../src/ingest/ingest.ts";
import { openOrCreateLake } from "../src/lake/lake.ts";
import { runProducer } from "../src/log/run-producer.ts";
import { openSqliteLog } from "../src/log/sqlite/log.ts";
import { embeddedMaintainer } from "../src/maintain/embedded.ts";
import type { ActionReport } from "../src/maintain/parts.ts";
import { MaintenanceStore } from "../src/maintain/store.ts";
import type { OperatingError } from "../src/base/errors.ts";
import { MaintenanceSchedule } from "../src/maintain/schedule.ts";
import { FileStorage } from "../src/storage/file/storage.ts";

/** A clock that advances only on request. */
export class SimulatedClock implements Clock {
  #now_us: number;

  constructor(start_us: number) {
    this.#now_us = start_us;
  }

  now_us(): number {
    return this.#now_us;
  }

  advance(duration_ms: number): void {
    this.#now_us += duration_ms * 1000;
  }

  async wait(delay_ms: number): Promise<void> {
    this.advance(delay_ms);
  }
}

/**
 * A catalog in simulated time. Engines stamp their snapshots with the machine's clock, so each snapshot gets the
 * simulated time when it is committed: retention and time travel depend on it.
 */
class SimulatedCatalog extends Catalog {
  readonly #clock: Clock;

  constructor(options: ConstructorParameters<typeof Catalog>[0] & { clock: Clock }) {
    super(options);
    this.#clock = options.clock;
  }

  override commit(changes: readonly TableChange[]): Promise<LoadedTable[]> {
    const now_ms = Math.floor(this.#clock.now_us() / 1000);
    const restamped = (update: Update): Update =>
      update.action === "add-snapshot"
        ? { ...update, snapshot: { ...(update["snapshot"] as object), "timestamp-ms": now_ms } }
        : update;
    return super.commit(changes.map((change) => ({ ...change, updates: change.updates.map(restamped) })));
  }
}

/** Opens the components of an embedded lake as `openLake` does, all in simulated time. */
export async function openSimulatedLake(data_folder: string, clock: Clock): Promise<OpenLake> {
  const lake = openOrCreateLake(data_folder, { name: "simulated", kind: "simulated", pipeline: crypto.name });
  const storage = new FileStorage();
  const catalog = new SimulatedCatalog({
    store: new SqliteStore(lake.catalog_file),
    storage,
    warehouse: lake.warehouse,
    clock,
  });
  const server = await startCatalogServer({ catalog, port: 0 });
  const log = openSqliteLog({ file: lake.log_file });
  await log.createTopic(crypto.topic.name, 1);
  return {
    lake,
    storage,
    catalog,
    server,
    log,
    s3: null,
    cluster: null,
    async close() {
      await server.close();
      await log.close();
      await catalog.close();
    },
  };
}

export interface Market {
  coins: number;
  interval_ms: number;
  /** Time of the first page. */
  start_us: number;
}

/** Appends to the log every page of the market up to the clock's time. */
export async function produceUntilNow(
  { log, lake }: OpenLake,
  clock: Clock,
  { coins, interval_ms, start_us }: Market,
): Promise<void> {
  const until_step = Math.floor((clock.now_us() - start_us) / (interval_ms * 1000));
  const producer = simulated({ coins, interval_ms, start_us, speed: "max", until_step });
  await runProducer({
    producer,
    log,
    topic: crypto.topic.name,
    lake_folder: lake.folder,
    clock,
    signal: new AbortController().signal,
    report() {},
  });
}

/** Opens ingest with the pipeline's own limits; `close` releases its engine. */
export async function openIngest(
  { log, catalog, storage }: OpenLake,
  clock: Clock,
): Promise<Ingest & { close(): void }> {
  const records = await openParquetWriter({ storage });
  const [namespace = "", name = ""] = crypto.bronze.table.split(".");
  const limits = {
    pacing: crypto.bronze.commit,
    commit_size_bytes: crypto.bronze.commit_size_bytes,
    retention_ms: crypto.topic.retention_ms,
  };
  const ingest = createIngest({
    log,
    catalog,
    storage,
    records,
    table: { namespace: [namespace], name },
    topic: crypto.topic.name,
    clock,
    limits,
  });
  return Object.assign(ingest, { close: () => records.close() });
}

/** Schedules maintenance as `start` does. A failure ends the run instead of being reported. */
export function scheduleMaintenance(
  lake: OpenLake,
  clock: Clock,
  maintained: (report: ActionReport) => void = () => {},
): MaintenanceSchedule {
  return new MaintenanceSchedule({
    lake: lake.lake,
    catalog: lake.catalog,
    clock,
    async withMaintainer(work, signal) {
      const store = new MaintenanceStore(lake.lake.folder);
      try {
        return await work(
          embeddedMaintainer({ open: lake, store, clock, signal, engine: { memory_limit_mb: 128, threads: 1 } }),
        );
      } finally {
        store.close();
      }
    },
    events: {
      maintained,
      failed(_table: string, error: OperatingError) {
        throw error;
      },
    },
  });
}
