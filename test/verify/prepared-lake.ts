import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { crypto } from "../../pipelines/crypto.ts";
import type { Catalog } from "../../src/catalog/catalog.ts";
import type { DbtWorker } from "../../src/transform/worker.ts";
import { openAlertBook } from "../../src/alert/open.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import type { LoadedTable, Snapshot } from "../../src/iceberg/model.ts";
import { systemClock } from "../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { openLake, type OpenLake } from "../../src/lake/open.ts";
import { openToVerify } from "../../src/lake/open-to-verify.ts";
import { LiveFiles, type LiveFile } from "../../src/iceberg/live-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { findLake, type Lake } from "../../src/lake/lake.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { verifyDeep, type DeepVerification } from "../../src/verify/deep.ts";
import { rebuild, type Rebuilt, type RebuildRequest } from "../../src/verify/rebuild.ts";
import type { Finding } from "../../src/verify/finding.ts";
import { verify, type Verification } from "../../src/verify/verify.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { BRONZE, Lakes } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";

/** A table outside bronze, silver and gold. */
export const FOREIGN = "notebooks.notes";
const INCREMENTS = 3;
const MAX_INCREMENTS = 8;

/**
 * One lake for many tests, created once by the real components, in increments. Each test starts from the original
 * folder. Tests that do not change bronze share one result of rebuilding the models.
 */
export class PreparedLake {
  readonly data_folder: string;
  readonly lake: Lake;
  readonly #lakes: Lakes;
  readonly #copies: ReturnType<typeof temporaryFolder>;
  #rebuilt: Rebuilt | null = null;

  private constructor(lakes: Lakes, data_folder: string, copies: ReturnType<typeof temporaryFolder>) {
    this.data_folder = data_folder;
    this.lake = findLake(data_folder, null);
    this.#lakes = lakes;
    this.#copies = copies;
  }

  static async make(): Promise<PreparedLake> {
    const lakes = await Lakes.open();
    const copies = temporaryFolder();
    const made = await lakes.fresh();
    const records = await marketStream(5);
    for (let number = 0; number < INCREMENTS; number += 1) {
      const share = Math.ceil(records.length / INCREMENTS);
      await made.append(records.slice(number * share, (number + 1) * share));
      await made.ingest();
      await made.catchUp();
      if (number === 0) cpSync(made.open.lake.catalog_file, join(copies.path, "catalog-of-the-first-increment.db"));
      if (number === 0)
        cpSync(`${made.open.lake.catalog_file}-wal`, join(copies.path, "catalog-of-the-first-increment.db-wal"));
    }
    new MaintenanceStore(made.open.lake.folder).close();
    await (await openAlertBook(made.open.lake.folder, crypto, systemClock)).close();
    await lakes.release();
    const prepared = new PreparedLake(lakes, made.data_folder, copies);
    cpSync(made.data_folder, join(copies.path, "lake"), { recursive: true });
    return prepared;
  }

  /** Restores the original lake. */
  reset(): void {
    rmSync(this.data_folder, { recursive: true, force: true });
    cpSync(join(this.#copies.path, "lake"), this.data_folder, { recursive: true });
  }

  async close(): Promise<void> {
    await this.#rebuilt?.close();
    await this.#lakes.close();
    this.#copies.remove();
  }

  async verify(): Promise<Verification> {
    const open = await openToVerify(this.lake);
    try {
      return await verify(open, crypto);
    } finally {
      await open.close();
    }
  }

  /** With `is_bronze_whole`, the models' result for bronze is already known. */
  async verifyDeep({ is_bronze_whole = true } = {}): Promise<DeepVerification> {
    const open = await openToVerify(this.lake);
    try {
      return await verifyDeep(open, crypto, {
        rebuild: (request) => (is_bronze_whole ? this.#rebuiltOnce(request) : this.#rebuild(request)),
      });
    } finally {
      await open.close();
    }
  }

  /**
   * Runs `verifyDeep` over unchanged bronze with `work` in place of the rebuild of silver and gold; the rebuild follows
   * unless `work` throws.
   */
  async verifyDeepDuring(work: () => Promise<void>): Promise<DeepVerification> {
    const open = await openToVerify(this.lake);
    try {
      return await verifyDeep(open, crypto, { rebuild: async (request) => (await work(), this.#rebuiltOnce(request)) });
    } finally {
      await open.close();
    }
  }

  /** A new lake whose log has records that no table has yet. */
  async verifyFresh(): Promise<Verification> {
    const fresh = await this.#lakes.fresh();
    await fresh.append(await marketStream(1));
    const found = await verify({ ...fresh.open, checksums: null }, crypto);
    await this.#lakes.release();
    return found;
  }

  /** Deletes a row, and expires the snapshot that contained it. */
  async expireSnapshot(table: string): Promise<void> {
    const { "snapshot-id": id } = await this.snapshot(table);
    await this.sql(`delete from lake.${table} where log_offset = 3`);
    await this.change(({ catalog }) =>
      catalog.commit([
        {
          identifier: tableNamed(table),
          requirements: [],
          updates: [{ action: "remove-snapshots", "snapshot-ids": [id] }],
        },
      ]),
    );
  }

  async createForeignTable(): Promise<void> {
    await this.sql("create schema lake.notebooks");
    await this.sql(`create table lake.${FOREIGN} as select value as id from range(1000) as ids(value)`);
  }

  /**
   * Verifies another lake repeatedly while increments are committed to it, until some commits fall into a verification;
   * then verifies it deeply.
   */
  async verifyWhileWritten(): Promise<{ findings: Finding[]; moving: number; verified: number }> {
    const written = await this.#lakes.fresh();
    const records = await marketStream(9);
    const open = { ...written.open, checksums: null };
    const findings: Finding[] = [];
    const seen = { moving: 0, verified: 0, is_done: false };
    const increment = async (number: number) => {
      const share = Math.ceil(records.length / MAX_INCREMENTS);
      await written.append(records.slice(number * share, (number + 1) * share));
      await written.ingest();
      await written.increment();
    };
    const write = async () => {
      for (let number = 1; number < MAX_INCREMENTS && (number < INCREMENTS || seen.moving === 0); number += 1)
        await increment(number);
      seen.is_done = true;
    };
    // The first increment creates the tables: before it there is nothing to verify.
    await increment(0);
    const writing = write();
    while (!seen.is_done) {
      const found = await verify(open, crypto);
      seen.verified += 1;
      findings.push(...found.findings);
      if (found.notes.some((note) => note.includes("an increment is writing"))) seen.moving += 1;
    }
    await writing;
    findings.push(...(await verifyDeep(open, crypto, { rebuild: (request) => this.#rebuild(request) })).findings);
    await this.#lakes.release();
    return { findings, moving: seen.moving, verified: seen.verified };
  }

  async #rebuiltOnce(request: RebuildRequest): Promise<Rebuilt> {
    const { catalog, server } = (this.#rebuilt ??= await this.#rebuild(request));
    return { catalog, server, close: async () => {} };
  }

  #rebuild(request: RebuildRequest): Promise<Rebuilt> {
    return rebuild(request, (catalog, _server, { offsets }) => this.#lakes.build(catalog, { ...offsets }));
  }

  /** Runs dbt over a catalog; null for commands that need only its project. */
  models<T>(catalog: Catalog | null, work: (worker: Pick<DbtWorker, "run">) => Promise<T>): Promise<T> {
    return this.#lakes.over(catalog, work);
  }

  /** Restores an old copy of the catalog, from the first increment. */
  restoreOldCatalog(): void {
    for (const end of ["", "-wal"])
      cpSync(join(this.#copies.path, `catalog-of-the-first-increment.db${end}`), `${this.lake.catalog_file}${end}`);
    rmSync(`${this.lake.catalog_file}-shm`, { force: true });
  }

  /** Removes the checksums, as in a lake of a version that stored none. */
  forgetChecksums(): void {
    const database = new DatabaseSync(this.lake.catalog_file);
    database.exec("delete from file_checksums");
    database.close();
  }

  file(name: string): string {
    return join(this.lake.folder, name);
  }

  /** Changes the lake as another writer would, with the lake open for writing. */
  async change<T>(work: (open: OpenLake) => Promise<T>): Promise<T> {
    const open = await openLake(this.lake);
    try {
      return await work(open);
    } finally {
      await open.close();
    }
  }

  /** Runs SQL in another DuckDB, in which the catalog's name is `lake`. */
  async sql(statement: string): Promise<void> {
    await this.change(async ({ server }) => {
      const instance = await openDuckDB();
      const connection = await instance.connect();
      try {
        await attachCatalog(connection, server.url, "lake");
        await connection.run(statement);
      } finally {
        connection.closeSync();
        instance.closeSync();
      }
    });
  }

  load(table: string): Promise<LoadedTable> {
    return this.change(({ catalog }) => catalog.loadTable(tableNamed(table)));
  }

  async snapshot(table: string): Promise<Snapshot> {
    const snapshot = currentSnapshot((await this.load(table)).metadata);
    if (snapshot === null) throw new Error(`${table} has no snapshot`);
    return snapshot;
  }

  /** The files of the table's current snapshot, the largest first. */
  async files(table: string, content = 0): Promise<LiveFile[]> {
    const { metadata } = await this.load(table);
    const snapshot = await this.snapshot(table);
    const files = await this.change(({ storage }) => new LiveFiles(storage).of(metadata, snapshot));
    return files
      .filter((file) => file.content === content)
      .sort((a, b) => b.size_bytes - a.size_bytes || a.path.localeCompare(b.path));
  }

  /** Path of the largest data file. */
  async dataFile(table: string, position = 0): Promise<string> {
    const file = (await this.files(table))[position];
    if (file === undefined) throw new Error(`${table} has no data file ${position}`);
    return pathOfLocation(file.path);
  }
}

/** Flips one bit of a file, at a share of its length. */
export function flipBit(path: string, share = 0.5): void {
  const bytes = readFileSync(path);
  const position = Math.floor(bytes.length * share);
  bytes[position] = (bytes[position] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

export { BRONZE };
