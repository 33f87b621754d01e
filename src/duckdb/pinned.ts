import { DuckDBTimestampTZValue, type DuckDBConnection, type DuckDBInstance } from "@duckdb/node-api";
import { tableNamed } from "../iceberg/errors.ts";
import type { Long } from "../iceberg/model.ts";
import { LAYERS } from "../lake/layers.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { attachCatalog, openDuckDB } from "./duckdb.ts";
import { readRows, type QueryResult } from "./read.ts";
import { quoteName } from "./sql.ts";

// The binding prints times in the machine's time zone; this project uses UTC.
DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0;

export interface PinnedTablesOptions {
  catalog_url: string;
  /** The token that the catalog requires; null where it requires none. */
  token?: string | null;
  s3: S3Settings | null;
  memory_limit_mb?: number;
}

/**
 * Tables at snapshots that the caller chose. SQL names them `layer.table`, and later commits do not affect them.
 * Creates nothing in the lake or its catalog.
 */
export class PinnedTables {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  static async open({
    catalog_url,
    token = null,
    s3,
    memory_limit_mb = 384,
  }: PinnedTablesOptions): Promise<PinnedTables> {
    const instance = await openDuckDB({ s3, memory_limit_mb });
    const connection = await instance.connect();
    await attachCatalog(connection, catalog_url, "lake", { is_read_only: true, token });
    for (const layer of LAYERS) await connection.run(`CREATE SCHEMA memory.${layer}`);
    return new PinnedTables(instance, connection);
  }

  /** Binds the table's name to this snapshot. Throws as `readRows` does. */
  async pin(table: string, snapshot_id: Long): Promise<void> {
    await this.query(
      `CREATE OR REPLACE VIEW memory.${quoteTable(table)} ` +
        `AS FROM lake.${quoteTable(table)} AT (VERSION => ${snapshot_id})`,
    );
  }

  /** Binds the table's name to its columns without rows, for a table without a snapshot at that moment. */
  async pinEmpty(table: string): Promise<void> {
    await this.query(
      `CREATE OR REPLACE VIEW memory.${quoteTable(table)} AS FROM lake.${quoteTable(table)} WHERE false`,
    );
  }

  /** Makes the tables of another catalog visible as `alias.layer.table`. */
  attach(catalog_url: string, alias: string): Promise<void> {
    return attachCatalog(this.#connection, catalog_url, alias, { is_read_only: true });
  }

  /** Throws as `readRows` does. */
  query(sql: string): Promise<QueryResult> {
    return readRows(this.#connection, sql);
  }

  /** The first column of the first row; null where there is none. */
  async figure(sql: string): Promise<string | null> {
    return (await this.query(sql)).rows[0]?.[0] ?? null;
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

/**
 * Quotes everything after the first dot as one name, because other clients of the catalog may use any character in it.
 */
export function quoteTable(table: string): string {
  const { namespace, name } = tableNamed(table);
  return [...namespace, name].map(quoteName).join(".");
}
