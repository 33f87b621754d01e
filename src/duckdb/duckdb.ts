import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { OperatingError, messageOf } from "../base/errors.ts";
import { DEFAULT_WAREHOUSE } from "../catalog/rest/warehouses.ts";
import { toolsFolder } from "../lake/tools.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { trackInstance } from "./instances.ts";
import { openS3 } from "./s3.ts";
import { spillFolder } from "./spill.ts";
import { quoteText } from "./sql.ts";
import { VerifiedExtensions } from "./verified-extensions.ts";

export interface DuckDBOptions {
  memory_limit_mb: number;
  threads: number;
  /** S3 access of the tables; null where they are not in S3. */
  s3: S3Settings | null;
  /**
   * The instance's purpose, as shown in memory statistics; null excludes it from them. `closeInstance` closes a named
   * one.
   */
  name: string | null;
}

const MIN_POOL_THREADS = 16;

const DEFAULTS: DuckDBOptions = { memory_limit_mb: 192, threads: 2, s3: null, name: null };

/**
 * An in-process DuckDB that can read and write Iceberg. The bootstrap installs its extensions as files; on platforms
 * without packages for them, DuckDB downloads them itself.
 */
export async function openDuckDB(options: Partial<DuckDBOptions> = {}): Promise<DuckDBInstance> {
  checkPool();
  const { memory_limit_mb, threads, s3, name } = { ...DEFAULTS, ...options };
  const memory_limit = `${memory_limit_mb}MB`;
  const folder = join(toolsFolder(), "duckdb");
  const has_packages = existsSync(join(folder, "v1.5.5"));
  const extensions = new VerifiedExtensions(folder);
  const instance = await DuckDBInstance.create(":memory:", {
    extension_directory: folder,
    allow_unsigned_extensions: String(extensions.is_verified),
    autoinstall_known_extensions: String(!has_packages),
    autoload_known_extensions: "true",
    memory_limit,
    temp_directory: spillFolder(),
    threads: String(threads),
  });
  const connection = await instance.connect();
  try {
    await loadExtensions(connection, has_packages);
    extensions.remember();
    if (s3 !== null) await openS3(connection, s3);
    // Local files are already in the system's page cache; a second copy would only use the memory limit.
    else await connection.run("SET GLOBAL enable_external_file_cache = false");
    if (name !== null) await trackInstance(instance, { name, memory_limit });
  } finally {
    connection.closeSync();
  }
  return instance;
}

/**
 * Throws where Node's thread pool is too small. A query holds a thread of the pool while it waits for the catalog,
 * which may need a thread of the same pool: as many queries as threads would wait forever. Queries are limited to far
 * fewer than this.
 */
function checkPool(): void {
  if (Number(process.env["UV_THREADPOOL_SIZE"]) >= MIN_POOL_THREADS) return;
  throw new TypeError(
    `a process that opens DuckDB needs ${MIN_POOL_THREADS} pool threads or more: ` +
      "start it by bin/bootstrap.js, or pass UV_THREADPOOL_SIZE on",
  );
}

async function loadExtensions(connection: DuckDBConnection, has_packages: boolean): Promise<void> {
  try {
    if (!has_packages) await connection.run("INSTALL avro; INSTALL httpfs; INSTALL iceberg");
    await connection.run("LOAD avro; LOAD httpfs; LOAD iceberg; SET GLOBAL TimeZone = 'UTC'");
    // From now on the instance loads signed extensions only; DuckDB does not allow to undo this.
    await connection.run("SET GLOBAL allow_unsigned_extensions = false");
  } catch (error) {
    throw new OperatingError(
      "DUCKDB_EXTENSION_MISSING",
      `DuckDB could not load its Iceberg extension: ${messageOf(error)}`,
      {
        next_step: "Run `npm run -s coinlake -- doctor` to see what is missing.",
        cause: error,
      },
    );
  }
}

/** Name of the secret that holds the catalog's token. */
const CATALOG_SECRET = "coinlake_catalog";

interface AttachOptions {
  is_read_only?: boolean;
  token?: string | null;
  warehouse?: string;
}

/** Makes the catalog's tables visible as `alias.<namespace>.<table>` in every connection of the instance. */
export async function attachCatalog(
  connection: DuckDBConnection,
  catalog_url: string,
  alias: string,
  { is_read_only = false, token = null, warehouse = DEFAULT_WAREHOUSE }: AttachOptions = {},
): Promise<void> {
  const options = ["TYPE iceberg", `ENDPOINT '${catalog_url}'`, "ACCESS_DELEGATION_MODE 'none'"];
  if (token !== null)
    await connection.run(`CREATE OR REPLACE SECRET ${CATALOG_SECRET} (TYPE iceberg, TOKEN ${quoteText(token)})`);
  options.push(
    ...(token === null ? ["AUTHORIZATION_TYPE 'none'"] : ["AUTHORIZATION_TYPE 'oauth2'", `SECRET ${CATALOG_SECRET}`]),
  );
  if (is_read_only) options.push("READ_ONLY");
  await connection.run(`ATTACH ${quoteText(warehouse)} AS ${alias} (${options.join(", ")})`);
}
