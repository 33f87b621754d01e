import assert from "node:assert/strict";
import { utimes } from "node:fs/promises";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { tableNamed } from "../../src/iceberg/errors.ts";
import type { LoadedTable, Snapshot, TableCatalog, TableChange, Update } from "../../src/iceberg/model.ts";
import type { Clock } from "../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { decodeManifestList } from "../../src/iceberg/manifest-list.ts";
import { STATUS, type ManifestEntry } from "../../src/iceberg/manifest-model.ts";
import { readManifest, readManifests } from "../../src/iceberg/snapshot-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import type { MaintenanceParts } from "../../src/maintain/parts.ts";
import { removeOrphans } from "../../src/maintain/orphans.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { noop } from "../../src/base/failpoints.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { openLake, type Lake } from "../catalog/lake.ts";

const HOUR_US = 3_600_000_000;

/** Files that a killed commit leaves in a table's folder become orphan files after a day. */
export const AFTER_A_DAY_US = 25 * HOUR_US;

/** The machine's clock plus an offset, which tests increase. */
export class MovedClock implements Clock {
  ahead_us = 0;

  now_us(): number {
    return Date.now() * 1000 + this.ahead_us;
  }

  wait(): Promise<void> {
    return Promise.reject(new Error("maintenance waits for nobody"));
  }
}

/** A lake whose tables DuckDB writes through the REST catalog, with its maintenance. */
export interface MaintainedLake extends Lake {
  url: string;
  clock: MovedClock;
  storage: FileStorage;
  store: MaintenanceStore;
  duckdb: DuckDBInstance;
  parts(overrides?: Partial<MaintenanceParts>): MaintenanceParts;
  /** Runs statements in which the catalog's name is `lake`; returns the rows of the last one as JSON. */
  sql(statements: string): Promise<unknown[][]>;
  load(table: string): Promise<LoadedTable>;
  commit(table: string, updates: readonly Update[]): Promise<void>;
}

export async function openMaintainedLake(): Promise<MaintainedLake> {
  const clock = new MovedClock();
  const lake = await openLake({ clock });
  const { url } = await lake.serve();
  const storage = new FileStorage();
  const store = new MaintenanceStore(lake.folder);
  const duckdb = await openDuckDB();
  const connection = await duckdb.connect();
  await attachCatalog(connection, url, "lake");
  await lake.catalog.createNamespace(["gold"]);
  return {
    ...lake,
    url,
    clock,
    storage,
    store,
    duckdb,
    parts: (overrides = {}) => ({
      catalog: lake.catalog,
      storage,
      warehouse: lake.warehouse,
      clock,
      pending: store,
      engine: { memory_limit_mb: 256, threads: 2, s3: null },
      step: noop,
      signal: new AbortController().signal,
      exclusively: (_table, commit) => commit(),
      ...overrides,
    }),
    sql: (statements) => rowsOf(connection, statements),
    load: (table) => lake.catalog.loadTable(tableNamed(table)),
    async commit(table, updates) {
      await lake.catalog.commit([{ identifier: tableNamed(table), requirements: [], updates }]);
    },
    async close() {
      store.close();
      connection.closeSync();
      duckdb.closeSync();
      await lake.close();
    },
  };
}

export async function rowsOf(connection: DuckDBConnection, statements: string): Promise<unknown[][]> {
  return (await connection.runAndReadAll(statements)).getRowsJson();
}

/** Every row of a table, or of one of its snapshots, as sorted text. */
export async function valuesOf(
  lake: MaintainedLake,
  table: string,
  snapshot: Snapshot | null = null,
): Promise<string[]> {
  const version = snapshot === null ? "" : ` at (version => ${snapshot["snapshot-id"]})`;
  return (await lake.sql(`from lake.${table}${version}`)).map((row) => JSON.stringify(row)).sort();
}

/** The values of a table at present and at each of its snapshots, by id. */
export interface Values {
  now: string[];
  at: Map<string, string[]>;
}

export async function everyValue(lake: MaintainedLake, table: string): Promise<Values> {
  const at = new Map<string, string[]>();
  for (const snapshot of (await lake.load(table)).metadata.snapshots)
    at.set(String(snapshot["snapshot-id"]), await valuesOf(lake, table, snapshot));
  return { now: await valuesOf(lake, table), at };
}

/**
 * Runs `action` and asserts that it changed no value of the table or of any remaining snapshot, and that no file is
 * missing.
 */
export async function withValuesKept<T>(lake: MaintainedLake, table: string, action: () => Promise<T>): Promise<T> {
  const before = await everyValue(lake, table);
  const result = await action();
  const after = await everyValue(lake, table);
  assert.deepEqual(after.now, before.now, `the rows of ${table}`);
  for (const [id, values] of after.at)
    if (before.at.has(id)) assert.deepEqual(values, before.at.get(id), `${table} at ${id}`);
  await assertNothingDangles(lake, table);
  return result;
}

/** Every file that a snapshot, statistics or the metadata log names, as spelled in the metadata. */
export async function referencedFiles({ storage, load }: MaintainedLake, table: string): Promise<Set<string>> {
  const { metadata, metadata_location } = await load(table);
  const files = new Set([metadata_location, ...metadata["metadata-log"].map((entry) => entry["metadata-file"])]);
  for (const key of ["statistics", "partition-statistics"]) {
    for (const { "statistics-path": path } of (metadata[key] ?? []) as { "statistics-path": string }[]) files.add(path);
  }
  for (const snapshot of metadata.snapshots) {
    files.add(snapshot["manifest-list"]);
    for (const manifest of decodeManifestList(await storage.read(snapshot["manifest-list"]))) {
      files.add(manifest.manifest_path);
      const { entries } = await readManifest(storage, metadata, manifest);
      for (const { status, data_file } of entries) if (status !== STATUS.deleted) files.add(data_file.file_path);
    }
  }
  return files;
}

export async function filesOnDisk({ storage, load }: MaintainedLake, table: string): Promise<Set<string>> {
  const files = new Set<string>();
  for await (const { location } of storage.list((await load(table)).metadata.location)) files.add(location);
  return files;
}

export async function assertNothingDangles(lake: MaintainedLake, table: string): Promise<void> {
  const there = await filesOnDisk(lake, table);
  const missing = [...(await referencedFiles(lake, table))].filter((location) => !there.has(location));
  assert.deepEqual(missing, [], `files that ${table} refers to and that are not there`);
}

/** Orphan files in the table's folder. */
export async function unreferencedFiles(lake: MaintainedLake, table: string): Promise<string[]> {
  const referenced = await referencedFiles(lake, table);
  return [...(await filesOnDisk(lake, table))].filter((location) => !referenced.has(location));
}

/** Live entries of the current snapshot: of data files for content 0, of delete files for 1. */
export async function liveEntries(
  { storage, load }: MaintainedLake,
  table: string,
  content = 0,
): Promise<ManifestEntry[]> {
  const { metadata } = await load(table);
  const manifests = await readManifests(storage, metadata, currentSnapshot(metadata)!);
  return manifests
    .filter(({ manifest }) => manifest.content === content)
    .flatMap(({ entries }) => entries.filter(({ status }) => status !== STATUS.deleted));
}

export async function locationsOf(lake: MaintainedLake, table: string, content = 0): Promise<string[]> {
  return (await liveEntries(lake, table, content)).map(({ data_file }) => data_file.file_path);
}

/** Removes orphan files of any age; only for tables without concurrent writers. */
export async function removeAllOrphans(lake: MaintainedLake, table: string): Promise<void> {
  const clock: Clock = { now_us: () => lake.clock.now_us() + AFTER_A_DAY_US, wait: () => lake.clock.wait() };
  await removeOrphans(lake.parts({ clock }), tableNamed(table));
}

/** A table of `files` files with `rows` rows each, with ids from 0. */
export async function tableOf(lake: MaintainedLake, name: string, files: number, rows = 10): Promise<string> {
  const table = `gold.${name}`;
  await lake.sql(`create table lake.${table} (id bigint, value double, day date)`);
  for (let file = 0; file < files; file += 1) await append(lake, table, file * rows, rows);
  return table;
}

export async function append(lake: MaintainedLake, table: string, from: number, rows = 10): Promise<void> {
  await lake.sql(
    `insert into lake.${table} select i, i / 8, date '2025-10-10' + (i % 3)::int ` +
      `from range(${from}, ${from + rows}) t(i)`,
  );
}

/** Runs `action` between compaction's rewrite of the files and its commit. */
export function beforeReplacing(action: () => Promise<unknown>): Partial<MaintenanceParts> {
  let is_done = false;
  return {
    async exclusively(_table, commit) {
      if (!is_done) await action();
      is_done = true;
      return commit();
    },
  };
}

/** Sets the files' modification time to `hours` ago. */
export async function age(locations: Iterable<string>, hours = 48): Promise<void> {
  const at = new Date(Date.now() - hours * 3_600_000);
  for (const location of locations) await utimes(pathOfLocation(location), at, at);
}

/** Delegates to the lake's catalog; tests wrap its methods. */
export function catalogWith({ catalog }: Lake, changed: Partial<TableCatalog>): TableCatalog {
  return {
    createNamespace: (namespace) => catalog.createNamespace(namespace),
    hasNamespace: (namespace) => catalog.hasNamespace(namespace),
    listTables: (namespace) => catalog.listTables(namespace),
    loadTable: (identifier) => catalog.loadTable(identifier),
    createTable: (request) => catalog.createTable(request),
    commit: (changes) => catalog.commit(changes),
    ...changed,
  };
}

/** A catalog that runs `action` once, before the first commit whose changes satisfy `when`. */
export function beforeCommit(
  lake: Lake,
  action: () => Promise<unknown>,
  when: (change: TableChange) => boolean = () => true,
): TableCatalog {
  let is_done = false;
  return catalogWith(lake, {
    async commit(changes) {
      if (!is_done && changes.some(when)) {
        is_done = true;
        await action();
      }
      return lake.catalog.commit(changes);
    },
  });
}

export const identifierOf = tableNamed;
