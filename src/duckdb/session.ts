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

// The binding prints times in the machine's time zone; this project uses UTC.
DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0;

export type { QueryResult } from "./read.ts";

export interface TableSnapshot {
  table: string;
  snapshot_id: string;
  /** ISO 8601, UTC. */
  committed_at: string;
}

export interface OldestSnapshot {
  /** When the snapshot became current, ISO 8601, UTC. */
  at: string;
  /** Whether it is the table's first snapshot; otherwise earlier ones have expired. */
  is_first: boolean;
}

export interface SessionOptions extends Partial<Pick<DuckDBOptions, "memory_limit_mb" | "threads">> {
  /** The folder of DuckDB's profiles; with it, results include the counts of their scans. */
  profile_folder?: string | null;
}

/** Read-only SQL over the lake's tables, such as `gold.fact_…`, as of now or as of a moment. A lake has one writer. */
export class QuerySession {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  /**
   * The reader with profiles, if results include scan counts. Each query is a separate transaction, so no count leaks
   * into the next.
   */
  readonly #reader: Reader | null;
  readonly #catalog: Catalog;
  /** Whether names refer to the current tables, which DuckDB selects by the clock; snapshots are selected by id. */
  #is_current = true;
  /**
   * Tables that the names do not refer to, because they are damaged or have no snapshot at the requested time. The
   * error is thrown by the queries that name the table, so that one damaged table does not stop queries of the others.
   */
  readonly #unavailable = new Map<string, OperatingError>();
  /** Tables with a snapshot at the requested time. */
  readonly #found = new Set<string>();

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
    // DuckDB resolves names in a default schema, which must exist.
    for (const layer of LAYERS) if (!(await catalog.hasNamespace([layer]))) await catalog.createNamespace([layer]);
    const instance = await openDuckDB({ name: "tables", ...options, s3 });
    const connection = await instance.connect();
    await attachCatalog(connection, server.url, "lake", {
      is_read_only: true,
      token: server.token,
      warehouse: server.warehouse,
    });
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
   * Binds the tables' names to the tables as of `at_ms` (lake time, milliseconds UTC), or to the current tables where
   * it is null. Reading a table without a snapshot that old throws INVALID_SQL with the earliest readable time, and
   * reading a damaged one TABLE_DAMAGED. Returns the snapshots in use, by table name.
   */
  async travelTo(at_ms: number | null): Promise<TableSnapshot[]> {
    if (at_ms === null) {
      this.#is_current = true;
      await this.#connection.run("USE lake.gold");
      return this.#snapshots(null);
    }
    const snapshots = await this.#snapshots(at_ms, { is_inspected: true });
    await this.#mean(new Map(snapshots.map(({ table, snapshot_id }) => [table, snapshotOf(table, snapshot_id)])));
    for (const identifier of await this.tables()) {
      const table = nameOfTable(identifier);
      if (this.#unavailable.has(table) || this.#found.has(table)) continue;
      this.#unavailable.set(table, tooYoung(table, await this.oldestSnapshot(identifier)));
    }
    return snapshots;
  }

  /**
   * Binds the tables' names to the current snapshots, unaffected by later commits; a table without a snapshot is empty.
   * Returns the snapshots in use. Tables are read one by one, so the caller checks whether their offsets are equal.
   */
  async hold(): Promise<TableSnapshot[]> {
    const snapshots = await this.#snapshots(null, { is_inspected: true });
    const tables = (await this.tables()).map(nameOfTable).filter((table) => !this.#unavailable.has(table));
    const views = new Map(tables.map((table) => [table, `FROM lake.${quoteTable(table)} WHERE false`]));
    for (const { table, snapshot_id } of snapshots) views.set(table, snapshotOf(table, snapshot_id));
    await this.#mean(views);
    return snapshots;
  }

  /** Binds names to SQL, as views by name. */
  async #mean(views: ReadonlyMap<string, string>): Promise<void> {
    this.#is_current = false;
    // Not "USE memory": DuckDB would resolve it as a schema of the lake, and every name would still refer to the
    // current tables.
    await this.#connection.run("USE memory.main");
    for (const layer of LAYERS)
      await this.#connection.run(`DROP SCHEMA IF EXISTS memory.${layer} CASCADE; CREATE SCHEMA memory.${layer}`);
    for (const [table, content] of views)
      await this.#connection.run(`CREATE VIEW memory.${quoteTable(table)} AS ${content}`);
  }

  /**
   * The snapshot of each table that was current at `at_ms`, or is current now. Tables without one are omitted, and
   * damaged ones become unavailable. With `is_inspected`, the manifests are checked too: DuckDB requests that only for
   * tables that it loads by name, and SQL reads those of a moment by snapshot.
   */
  async #snapshots(at_ms: number | null, { is_inspected = false } = {}): Promise<TableSnapshot[]> {
    this.#unavailable.clear();
    const found: TableSnapshot[] = [];
    for (const identifier of await this.tables()) {
      const table = nameOfTable(identifier);
      try {
        const loaded = await this.#catalog.loadTable(identifier);
        const entry = snapshotAt(loaded, at_ms);
        if (entry === null) continue;
        if (is_inspected) await this.#catalog.inspect(loaded, BigInt(entry.snapshot_id));
        found.push({
          table,
          snapshot_id: String(entry.snapshot_id),
          committed_at: new Date(entry.at_ms).toISOString(),
        });
      } catch (error) {
        if (!(error instanceof OperatingError)) throw error;
        this.#unavailable.set(table, error);
      }
    }
    this.#found.clear();
    for (const { table } of found) this.#found.add(table);
    return found;
  }

  /**
   * Whether the table had a snapshot when the names were bound, by `travelTo` or `hold`. Throws TABLE_DAMAGED, because
   * callers answer "no data yet" where it is false.
   */
  has(table: string): boolean {
    const error = this.#unavailable.get(table);
    if (error !== undefined && error.code !== "INVALID_SQL") throw error;
    return this.#found.has(table);
  }

  /** The earliest readable snapshot of the table; null where it has none. */
  async oldestSnapshot(identifier: TableIdentifier): Promise<OldestSnapshot | null> {
    return oldestOf(await this.#catalog.loadTable(identifier));
  }

  async tables(): Promise<TableIdentifier[]> {
    const lists = await Promise.all(LAYERS.map((layer) => this.#catalog.listTables([layer])));
    return lists.flat();
  }

  /** Throws INVALID_SQL with DuckDB's message, or naming a table without a snapshot that old; QUERY_CANCELLED. */
  async query(sql: string, options: ReadOptions = {}): Promise<ProfiledResult> {
    try {
      if (this.#is_current) await checkClock(this.#catalog, await this.#tablesIn(sql));
      if (this.#reader !== null) return await this.#reader.query((run) => run("BEGIN READ ONLY"), sql, options);
      return { ...(await readRows(this.#connection, sql, options)), scans: [] };
    } catch (error) {
      throw this.#explained(error, sql);
    }
  }

  /** The tables whose names occur in the SQL, quoted or not. */
  async #tablesIn(sql: string): Promise<TableIdentifier[]> {
    const words = new Set(sql.toLowerCase().match(/\w+/g));
    return (await this.tables()).filter(({ name }) => words.has(name.toLowerCase()));
  }

  /** Replaces DuckDB's error for an unavailable table, which says that the table does not exist. */
  #explained(error: unknown, sql: string): unknown {
    if (this.#unavailable.size === 0 || !(error instanceof OperatingError) || error.code !== "INVALID_SQL")
      return error;
    const name = /Table with name (\w+) does not exist/.exec(error.message)?.[1];
    const [, reason] =
      [...this.#unavailable].find(([table]) => table.endsWith(`.${name}`) && sql.includes(table)) ?? [];
    return reason ?? error;
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
 * Uses the table's history, not the list of snapshots: one commit may add several snapshots, and only its last was ever
 * current (spec, "Point in Time Reads"). Where snapshots have expired, returns the nearest retained one before `at_ms`.
 */
function snapshotAt({ metadata }: LoadedTable, at_ms: number | null): HistoryEntry | null {
  if (at_ms !== null) return currentAt(metadata, at_ms);
  const current = currentSnapshot(metadata);
  return current && { snapshot_id: current["snapshot-id"], at_ms: Number(current["timestamp-ms"]) };
}

function tooYoung(table: string, oldest: OldestSnapshot | null): OperatingError {
  const kind = oldest?.is_first === false ? "oldest retained" : "first";
  const message = `${table} has no snapshot that old: its ${kind} one is of ${oldest?.at ?? "no time yet"}`;
  return new OperatingError("INVALID_SQL", message, { next_step: "Ask for a later time." });
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

/**
 * Quotes `layer.table` for SQL. Everything after the first dot is one name, because other catalog clients may use any
 * character.
 */
function quoteTable(table: string): string {
  const { namespace, name } = tableNamed(table);
  return [...namespace, name].map(quoteName).join(".");
}
