import { existsSync } from "node:fs";
import { explain } from "../base/explain.ts";
import type { ChecksumStore } from "../catalog/checksums.ts";
import { Catalog } from "../catalog/catalog.ts";
import { startCatalogServer, type CatalogServer } from "../catalog/server.ts";
import { SqliteChecksums } from "../catalog/sqlite/checksums.ts";
import { SqliteStore } from "../catalog/sqlite/store.ts";
import type { Lake } from "./lake.ts";
import type { Log } from "../log/log.ts";
import { openSqliteLog } from "../log/sqlite/log.ts";
import { isStoreDamage } from "../base/sqlite.ts";
import { FileStorage } from "../storage/file/storage.ts";
import { s3SettingsFrom, type S3Settings } from "../storage/s3/settings.ts";
import { S3Storage } from "../storage/s3/storage.ts";
import type { Storage } from "../storage/storage.ts";
import { catalogTokenFrom } from "./catalog-token.ts";
import { openLake, type OpenLakeOptions } from "./open.ts";

/**
 * A lake opened read-only. A missing or damaged store is null; the caller reports its damage.
 */
export interface LakeToVerify {
  lake: Lake;
  storage: Storage;
  s3: S3Settings | null;
  log: Log | null;
  catalog: Catalog | null;
  /** File of the catalog; null if it has none. */
  server: CatalogServer | null;
  /** Null if the catalog stores none. */
  checksums: ChecksumStore | null;
  close(): Promise<void>;
}

/**
 * Creates nothing. Throws the errors of a cluster's services, S3_CREDENTIALS_MISSING, and LOG_LOCKED, CATALOG_LOCKED
 * and others of stores that are not damaged.
 */
export async function openToVerify(
  lake: Lake,
  { env = process.env, warn = () => {} }: Pick<OpenLakeOptions, "env" | "warn"> = {},
): Promise<LakeToVerify> {
  if (lake.profile === "cluster") return { ...(await openLake(lake, { env, warn })), checksums: null };
  const s3 = /^s3a?:/.test(lake.warehouse) ? s3SettingsFrom(env) : null;
  const storage = s3 === null ? new FileStorage() : new S3Storage(s3);
  const log = unlessDamaged(lake.log_file, () => openSqliteLog({ file: lake.log_file, is_read_only: true }));
  const store = unlessDamaged(lake.catalog_file, () => new SqliteStore(lake.catalog_file, { is_read_only: true }));
  const checksums = unlessDamaged(
    lake.catalog_file,
    () => new SqliteChecksums(lake.catalog_file, { is_read_only: true }),
  );
  const catalog =
    store && new Catalog({ store, storage, warehouse: lake.warehouse, warn: (warning) => warn(explain(warning)) });
  const server = catalog && (await startCatalogServer({ catalog, port: 0, token: catalogTokenFrom(env) }));
  return {
    lake,
    storage,
    s3,
    log,
    catalog,
    server,
    checksums,
    async close() {
      await server?.close();
      await log?.close();
      // The first connection may write and removes SQLite's side files, so it closes last.
      checksums?.close();
      await catalog?.close();
    },
  };
}

function unlessDamaged<T>(file: string, open: () => T): T | null {
  if (!existsSync(file)) return null;
  try {
    return open();
  } catch (error) {
    if (isStoreDamage(error)) return null;
    throw error;
  }
}
