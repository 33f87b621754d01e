import { DuckDBTimestampTZValue, type DuckDBConnection, type DuckDBInstance } from "@duckdb/node-api";
import type { Catalog } from "../catalog/catalog.ts";
import { nameOfTable, tableNamed } from "../iceberg/errors.ts";
import { isSameLong } from "../iceberg/long.ts";
import { currentAt, historyOf, type HistoryEntry } from "../iceberg/metadata/history.ts";
import type { LoadedTable, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { LAYERS } from "../lake/layers.ts";
import type { OpenLake } from "../lake/open.ts";
import { checkClock } from "./clock-check.ts";
import { attachCatalog, openDuckDB, type DuckDBOptions } from "./duckdb.ts";
import { closeInstance } from "./instances.ts";
import { Reader, type ProfiledResult } from "./profile.ts";
import { readRows, type ReadOptions } from "./read.ts";
import { quoteName } from "./sql.ts";

// The binding prints times in the zone of the machine; everything here is UTC.
DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0;

export type { QueryResult } from "./read.ts";

export interface TableSnapshot {
  table: string;
  snapshot_id: string;
  /** ISO 8601, UTC. */
  committed_at: string;
}

export interface OldestSnapshot {
  /** Since when it was current, ISO 8601, UTC. */
  at: string;
  /** Whether the table had no snapshot before; else earlier ones have expired. */
  is_first: boolean;
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
  readonly #catalog: Catalog;
  /** Whether names mean the tables as they are, which DuckDB finds by the clock; snapshots it finds by their ids, or not at all. */
  #is_current = true;
  /** Tables without a snapshot of the time travelled to, each with the error message for it. */
  readonly #too_young = new Map<string, string>();

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, reader: Reader | null, catalog: Catalog) {
    this.#instance = instance;
    this.#connection = connection;
    this.#reader = reader;
    this.#catalog = catalog;
  }

  static async open(
    { catalog, server, s3 }: Pick<OpenLake, "catalog" | "server" | "s3">,
    { profile_folder = null, ...options }: SessionOptions = {},
  ): Promise<QuerySession> {
    // DuckDB looks names up in a default schema, which has to exist.
    for (const layer of LAYERS) if (!(await catalog.hasNamespace([layer]))) await catalog.createNamespace([layer]);
    const instance = await openDuckDB({ name: "tables", ...options, s3 });
    const connection = await instance.connect();
    await attachCatalog(connection, server.url, "lake", { is_read_only: true, token: server.token });
    const session = new QuerySession(
      instance,
      connection,
      profile_folder === null ? null : await Reader.open(connection, profile_folder),
      catalog,
    );
    await session.travelTo(null);
    return session;
  }

  /**
   * What the tables' names mean from now on: the tables as they stood at `at_ms` (lake time, milliseconds UTC), or as they
   * are. A table that has no snapshot that old is not there: reading it fails, with INVALID_SQL that says how far back it can be
   * read. Returns the snapshots in use, by table name.
   */
  async travelTo(at_ms: number | null): Promise<TableSnapshot[]> {
    if (at_ms === null) {
      this.#too_young.clear();
      this.#is_current = true;
      await this.#connection.run("USE lake.gold");
      return this.snapshots(null);
    }
    const snapshots = await this.snapshots(at_ms);
    await this.#inspect(snapshots);
    await this.#mean(new Map(snapshots.map(({ table, snapshot_id }) => [table, snapshotOf(table, snapshot_id)])));
    for (const identifier of await this.tables()) {
      const table = nameOfTable(identifier);
      if (snapshots.some((snapshot) => snapshot.table === table)) continue;
      const oldest = await this.oldestSnapshot(identifier);
      const kind = oldest?.is_first === false ? "oldest retained" : "first";
      this.#too_young.set(
        table,
        `${table} has no snapshot that old: its ${kind} one is of ${oldest?.at ?? "no time yet"}`,
      );
    }
    return snapshots;
  }

  /**
   * The tables' names mean the tables as they are at this moment, whatever is committed from now on; a table without a snapshot
   * is empty. Returns the snapshots in use. Table by table: who needs them to stand at one place looks for himself.
   */
  async hold(): Promise<TableSnapshot[]> {
    const snapshots = await this.snapshots(null);
    await this.#inspect(snapshots);
    const tables = (await this.tables()).map(nameOfTable);
    const views = new Map(tables.map((table) => [table, `FROM lake.${quoteTable(table)} WHERE false`]));
    for (const { table, snapshot_id } of snapshots) views.set(table, snapshotOf(table, snapshot_id));
    await this.#mean(views);
    return snapshots;
  }

  /** The catalog looks at the current snapshots when DuckDB loads a table; those of a moment are named to it only in SQL. */
  async #inspect(snapshots: readonly TableSnapshot[]): Promise<void> {
    for (const { table, snapshot_id } of snapshots) {
      await this.#catalog.inspect(await this.#catalog.loadTable(tableNamed(table)), BigInt(snapshot_id));
    }
  }

  /** What names mean, as views by name. */
  async #mean(views: ReadonlyMap<string, string>): Promise<void> {
    this.#too_young.clear();
    this.#is_current = false;
    // Not "USE memory": that would be a schema of the lake, and every name would go on meaning the lake's head.
    await this.#connection.run("USE memory.main");
    for (const layer of LAYERS)
      await this.#connection.run(`DROP SCHEMA IF EXISTS memory.${layer} CASCADE; CREATE SCHEMA memory.${layer}`);
    for (const [table, content] of views)
      await this.#connection.run(`CREATE VIEW memory.${quoteTable(table)} AS ${content}`);
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
          committed_at: new Date(entry.at_ms).toISOString(),
        });
      }
    }
    return found;
  }

  /** How far back the table can be read; null where it has no snapshot. */
  async oldestSnapshot(identifier: TableIdentifier): Promise<OldestSnapshot | null> {
    return oldestOf(await this.#catalog.loadTable(identifier));
  }

  async tables(): Promise<TableIdentifier[]> {
    const lists = await Promise.all(LAYERS.map((layer) => this.#catalog.listTables([layer])));
    return lists.flat();
  }

  /** Throws INVALID_SQL with DuckDB's own words, or naming a table that has no snapshot that old; QUERY_CANCELLED. */
  async query(sql: string, options: ReadOptions = {}): Promise<ProfiledResult> {
    try {
      if (this.#is_current) await checkClock(this.#catalog, await this.#tablesIn(sql));
      if (this.#reader !== null) return await this.#reader.query("BEGIN READ ONLY", sql, options);
      return { ...(await readRows(this.#connection, sql, options)), scans: [] };
    } catch (error) {
      throw this.#explained(error, sql);
    }
  }

  /** The tables whose names occur in the text, quoted or not. */
  async #tablesIn(sql: string): Promise<TableIdentifier[]> {
    const words = new Set(sql.toLowerCase().match(/\w+/g));
    return (await this.tables()).filter(({ name }) => words.has(name.toLowerCase()));
  }

  /** DuckDB reports a table without a snapshot that old as one that does not exist. */
  #explained(error: unknown, sql: string): unknown {
    if (this.#too_young.size === 0 || !(error instanceof OperatingError) || error.code !== "INVALID_SQL") return error;
    const name = /Table with name (\w+) does not exist/.exec(error.message)?.[1];
    const [, reason] = [...this.#too_young].find(([table]) => table.endsWith(`.${name}`) && sql.includes(table)) ?? [];
    if (reason === undefined) return error;
    return new OperatingError("INVALID_SQL", reason, { next_step: "Ask for a later time.", cause: error });
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
 * By the table's history, not the list of snapshots: one commit may bring several snapshots, and only its last was ever current
 * (spec, "Point in Time Reads"). Where snapshots have expired, the nearest retained one before `at_ms`.
 */
function snapshotAt({ metadata }: LoadedTable, at_ms: number | null): HistoryEntry | null {
  if (at_ms !== null) return currentAt(metadata, at_ms);
  const current = currentSnapshot(metadata);
  return current && { snapshot_id: current["snapshot-id"], at_ms: Number(current["timestamp-ms"]) };
}

function oldestOf({ metadata }: LoadedTable): OldestSnapshot | null {
  const oldest = historyOf(metadata)[0];
  if (oldest === undefined) return null;
  const snapshot = metadata.snapshots.find(({ "snapshot-id": id }) => isSameLong(id, oldest.snapshot_id));
  return { at: new Date(oldest.at_ms).toISOString(), is_first: snapshot?.["parent-snapshot-id"] == null };
}

function snapshotOf(table: string, snapshot_id: string): string {
  return `FROM lake.${quoteTable(table)} AT (VERSION => ${snapshot_id})`;
}

/** `layer.table` for SQL: what follows the first dot is one name: another client of the catalog may have put any character into it. */
function quoteTable(table: string): string {
  const { namespace, name } = tableNamed(table);
  return [...namespace, name].map(quoteName).join(".");
}
