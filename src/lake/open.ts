import { explain } from "../base/explain.ts";
import { Catalog } from "../catalog/catalog.ts";
import type { MakeDurable } from "../catalog/durable.ts";
import { startCatalogServer, type CatalogServer } from "../catalog/server.ts";
import { SqliteChecksums } from "../catalog/sqlite/checksums.ts";
import { SqliteStore } from "../catalog/sqlite/store.ts";
import type { CatalogStore } from "../catalog/store.ts";
import { ChecksumLedger } from "../catalog/checksum-ledger.ts";
import { createMakeDurable } from "../catalog/durable-snapshot.ts";
import { manifestInspection } from "../catalog/inspection.ts";
import type { Environment } from "./environment.ts";
import type { Lake } from "./lake.ts";
import type { Log } from "../log/log.ts";
import { openSqliteLog } from "../log/sqlite/log.ts";
import { noop, type StepListener } from "../base/failpoints.ts";
import { FileStorage } from "../storage/file/storage.ts";
import { withDeletionListener } from "../storage/deletions.ts";
import { s3SettingsFrom, type S3Settings } from "../storage/s3/settings.ts";
import { S3Storage } from "../storage/s3/storage.ts";
import type { Storage } from "../storage/storage.ts";
import { catalogTokenFrom } from "./catalog-token.ts";
import type { ClusterParts } from "./cluster-services.ts";

/** The components of a lake, opened in this process. Several processes may open the same lake. */
export interface OpenLake {
  lake: Lake;
  storage: Storage;
  catalog: Catalog;
  server: CatalogServer;
  log: Log;
  /** S3 settings for engines; null if the tables are on this disk. */
  s3: S3Settings | null;
  /** Services of a cluster; null for an embedded lake. */
  cluster: ClusterParts | null;
  close(): Promise<void>;
}

export interface OpenLakeOptions {
  /** Server addresses and credentials (default: this process's environment). */
  env?: Environment;
  /** Port of the REST catalog; 0 for any free one. */
  catalog_port?: number;
  /** Whether the REST catalog serves further lakes, which are opened with `catalog_server`. */
  is_catalog_shared?: boolean;
  /** The shared REST catalog of an open lake. */
  catalog_server?: CatalogServer | null;
  step?: StepListener;
  /** For measurements of what durability costs; by default every commit is durable. */
  makeDurable?: MakeDurable;
  /** Receives warnings about failures without data loss. */
  warn?: (message: string) => void;
}

/** Components that differ between profiles. */
interface Parts {
  store: CatalogStore;
  /** Null if the catalog cannot store them, as in a Hive Metastore. */
  ledger: ChecksumLedger | null;
  log: Log;
  cluster: ClusterParts | null;
}

const RECHECK_IN_S3_MS = 60_000;

/**
 * Throws the errors of its components: PORT_TAKEN, LOG_CANNOT_OPEN, S3_CREDENTIALS_MISSING, CLUSTER_NOT_FOUND,
 * LOG_UNREACHABLE and others.
 */
export async function openLake(lake: Lake, options: OpenLakeOptions = {}): Promise<OpenLake> {
  const {
    env = process.env,
    catalog_port = 0,
    is_catalog_shared = false,
    catalog_server = null,
    step = noop,
    warn = () => {},
  } = options;
  const token = catalogTokenFrom(env);
  const s3 = /^s3a?:/.test(lake.warehouse) ? s3SettingsFrom(env) : null;
  const files = s3 === null ? new FileStorage() : new S3Storage(s3);
  const { store, ledger, log, cluster } = await openParts(lake, { env, step, warn }, files);
  const storage = ledger === null ? files : withDeletionListener(files, (location) => ledger.forget(location));
  const inspect = manifestInspection(storage, { recheck_ms: s3 === null ? 0 : RECHECK_IN_S3_MS });
  const catalog = new Catalog({
    store,
    storage,
    inspect,
    warehouse: lake.warehouse,
    step,
    makeDurable: options.makeDurable ?? createMakeDurable(files),
    warn: (warning) => warn(explain(warning)),
    ...(ledger !== null && { committed: (tables) => ledger.record(tables) }),
  });
  try {
    await cluster?.claimTables(catalog, lake);
    const warehouse = lake.pipeline;
    const server =
      catalog_server?.add(warehouse, catalog) ??
      (await startCatalogServer({ catalog, warehouse, is_only: !is_catalog_shared, port: catalog_port, token }));
    return assembled({ lake, storage, catalog, server, log, s3, cluster }, ledger);
  } catch (error) {
    await log.close();
    await catalog.close();
    await ledger?.close();
    throw error;
  }
}

async function openParts(
  lake: Lake,
  { env, step, warn }: Required<Pick<OpenLakeOptions, "env" | "step" | "warn">>,
  files: Storage,
): Promise<Parts> {
  if (lake.profile === "cluster") {
    // Loaded only for a cluster: the clients of Kafka and Spark are slow to load.
    const { openClusterParts } = await import("./cluster-services.ts");
    return { ...(await openClusterParts(lake, env, step)), ledger: null };
  }
  const store = new SqliteStore(lake.catalog_file);
  const checksums = new SqliteChecksums(lake.catalog_file);
  try {
    const log = openSqliteLog({ file: lake.log_file, step });
    return { store, ledger: new ChecksumLedger(files, checksums, warn), log, cluster: null };
  } catch (error) {
    checksums.close();
    store.close();
    throw error;
  }
}

function assembled(parts: Omit<OpenLake, "close">, ledger: ChecksumLedger | null): OpenLake {
  const { server, log, catalog } = parts;
  return {
    ...parts,
    async close() {
      await server.close();
      await log.close();
      // Closed last and awaited: it cleans up after committed changes.
      await catalog.close();
      await ledger?.close();
    },
  };
}
