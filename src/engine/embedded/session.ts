import { DuckDBTimestampTZValue, type DuckDBConnection, type DuckDBInstance } from "@duckdb/node-api";
import { nameOfTable } from "../../catalog/errors.ts";
import type { LoadedTable, Long, TableCatalog, TableIdentifier } from "../../catalog/model.ts";
import { LAYERS } from "../../lake/layers.ts";
import type { OpenLake } from "../open.ts";
import { attachCatalog, openDuckDB, type DuckDBOptions } from "./duckdb.ts";
import { closeInstance } from "./instances.ts";
import { Reader, type ProfiledResult } from "./profile.ts";
import { readRows, type ReadOptions } from "./read.ts";

// The binding prints times in the zone of the machine; everything here is UTC.
DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0;

export type { QueryResult } from "./read.ts";

export interface TableSnapshot {
  table: string;
  snapshot_id: string;
  /** ISO 8601, UTC. */
  committed_at: string;
}

export interface SessionOptions extends Partial<Pick<DuckDBOptions, "memory_limit_mb" | "threads">> {
  /** Where the engine writes its profiles: with it, results tell what their scans read. */
  profile_folder?: string | null;
}

/** SQL over the lake's tables, `gold.fact_…` without a prefix, as they stand now or as they stood at a moment. Reads only: a lake has one writer. */
export class QuerySession {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  /** Where results tell what their scans read: that is noted a transaction each, and so nothing of one query is there for the next. */
  readonly #reader: Reader | null;
  readonly #catalog: TableCatalog;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, reader: Reader | null, catalog: TableCatalog) {
    this.#instance = instance;
    this.#connection = connection;
    this.#reader = reader;
    this.#catalog = catalog;
  }

  static async open({ catalog, server, s3 }: Pick<OpenLake, "catalog" | "server" | "s3">, { profile_folder = null, ...options }: SessionOptions = {}): Promise<QuerySession> {
    // DuckDB looks names up in a default schema, which has to exist.
    for (const layer of LAYERS) if (!(await catalog.hasNamespace([layer]))) await catalog.createNamespace([layer]);
    const instance = await openDuckDB({ name: "tables", ...options, s3 });
    const connection = await instance.connect();
    await attachCatalog(connection, server.url, "lake", { is_read_only: true });
    const session = new QuerySession(instance, connection, profile_folder === null ? null : await Reader.open(connection, profile_folder), catalog);
    await session.travelTo(null);
    return session;
  }

  /**
   * What the tables' names mean from now on: the tables as they stood at `at_ms` (lake time, milliseconds UTC), or as they
   * are. A table that had no snapshot by then is not there. Returns the snapshots in use, by table name.
   */
  async travelTo(at_ms: number | null): Promise<TableSnapshot[]> {
    if (at_ms === null) {
      await this.#connection.run("USE lake.gold");
      return this.snapshots(null);
    }
    const snapshots = await this.snapshots(at_ms);
    await this.#mean(new Map(snapshots.map(({ table, snapshot_id }) => [table, snapshotOf(table, snapshot_id)])));
    return snapshots;
  }

  /**
   * The tables' names mean the tables as they are at this moment, whatever is committed from now on; a table without a snapshot
   * is empty. Returns the snapshots in use. Table by table: who needs them to stand at one place looks for himself.
   */
  async hold(): Promise<TableSnapshot[]> {
    const snapshots = await this.snapshots(null);
    const tables = (await this.tables()).map(nameOfTable);
    const views = new Map(tables.map((table) => [table, `FROM lake.${table} WHERE false`]));
    for (const { table, snapshot_id } of snapshots) views.set(table, snapshotOf(table, snapshot_id));
    await this.#mean(views);
    return snapshots;
  }

  /** What names mean, as views by name. */
  async #mean(views: ReadonlyMap<string, string>): Promise<void> {
    // Not "USE memory": that would be a schema of the lake, and every name would go on meaning the lake's head.
    await this.#connection.run("USE memory.main");
    for (const layer of LAYERS) await this.#connection.run(`DROP SCHEMA IF EXISTS memory.${layer} CASCADE; CREATE SCHEMA memory.${layer}`);
    for (const [table, content] of views) await this.#connection.run(`CREATE VIEW memory.${table} AS ${content}`);
  }

  /** The snapshot of each table that was current at `at_ms`, or is now; tables without one are left out. */
  async snapshots(at_ms: number | null): Promise<TableSnapshot[]> {
    const found: TableSnapshot[] = [];
    for (const identifier of await this.tables()) {
      const loaded = await this.#catalog.loadTable(identifier);
      const entry = snapshotAt(loaded, at_ms);
      if (entry) {
        found.push({
          table: nameOfTable(identifier),
          snapshot_id: String(entry.snapshot_id),
          committed_at: new Date(Number(entry.timestamp_ms)).toISOString(),
        });
      }
    }
    return found;
  }

  /** When the table got its first snapshot, ISO 8601; null before. */
  async bornAt(identifier: TableIdentifier): Promise<string | null> {
    const { metadata } = await this.#catalog.loadTable(identifier);
    const first = metadata["snapshot-log"][0];
    return first ? new Date(Number(first["timestamp-ms"])).toISOString() : null;
  }

  async tables(): Promise<TableIdentifier[]> {
    const lists = await Promise.all(LAYERS.map((layer) => this.#catalog.listTables([layer])));
    return lists.flat();
  }

  /** Throws BAD_SQL with DuckDB's own words, QUERY_CANCELLED. */
  async query(sql: string, options: ReadOptions = {}): Promise<ProfiledResult> {
    if (this.#reader !== null) return this.#reader.query("BEGIN READ ONLY", sql, options);
    return { ...(await readRows(this.#connection, sql, options)), scans: [] };
  }

  /** The first column of the first row; null where there is none. */
  async figure(sql: string): Promise<string | null> {
    return (await this.query(sql)).rows[0]?.[0] ?? null;
  }

  close(): void {
    this.#connection.closeSync();
    closeInstance(this.#instance);
  }
}

/**
 * By the snapshot log, not the list of snapshots: one commit may bring several snapshots, and only its last was ever current
 * (spec, "Point in Time Reads").
 */
function snapshotAt({ metadata }: LoadedTable, at_ms: number | null): { snapshot_id: Long; timestamp_ms: Long } | null {
  if (at_ms === null) {
    const current = metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === metadata["current-snapshot-id"]);
    return current ? { snapshot_id: current["snapshot-id"], timestamp_ms: current["timestamp-ms"] } : null;
  }
  const entry = metadata["snapshot-log"].findLast((candidate) => Number(candidate["timestamp-ms"]) <= at_ms);
  return entry ? { snapshot_id: entry["snapshot-id"], timestamp_ms: entry["timestamp-ms"] } : null;
}

function snapshotOf(table: string, snapshot_id: string): string {
  return `FROM lake.${table} AT (VERSION => ${snapshot_id})`;
}
