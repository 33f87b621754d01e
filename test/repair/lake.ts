import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { crypto } from "../../pipelines/crypto.ts";
import { Catalog } from "../../src/catalog/catalog.ts";
import { startCatalogServer, type CatalogServer } from "../../src/catalog/server.ts";
import { nameOfTable, tableNamed } from "../../src/catalog/errors.ts";
import type { LoadedTable } from "../../src/catalog/model.ts";
import { systemClock } from "../../src/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/engine/embedded/duckdb.ts";
import { QuerySession } from "../../src/engine/embedded/session.ts";
import { openLake, type OpenLake } from "../../src/engine/open.ts";
import { LiveFiles, type LiveFile } from "../../src/iceberg/live-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { findLake, type Lake } from "../../src/lake/lake.ts";
import { verify, type Books } from "../../src/query/verify.ts";
import type { RepairItem } from "../../src/repair/item.ts";
import { modelsFrom, rebuildTables } from "../../src/repair/models.ts";
import { repair, type RepairOptions } from "../../src/repair/repair.ts";
import { globSync } from "node:fs";
import { pathOfLocation, locationOfPath } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { embeddedEngine } from "../../src/transform/engine.ts";
import { DbtWorker } from "../../src/transform/worker.ts";
import { temporaryFolder } from "../coinlake.ts";
import { BRONZE, MODELS, TestLake, TOPIC } from "../lake/lake.ts";
import { marketStream } from "../lake/stream.ts";

const SEED = "silver.crypto_products";
export const TABLES = [BRONZE, SEED, ...MODELS];
const INCREMENTS = 3;

/**
 * One lake for every test: made once by the real parts, in increments, with the copy that it is put back from; and one warm dbt, which sees
 * the catalog that is open.
 */
export class DamagedLake {
  readonly data_folder: string;
  readonly lake: Lake;
  /** The rows of every table, as they were made, in order. */
  readonly #rows: ReadonlyMap<string, string>;
  readonly #folder: ReturnType<typeof temporaryFolder>;
  readonly #worker: DbtWorker;
  readonly #front: CatalogServer;
  readonly #seen: { catalog: Catalog | null };

  private constructor(parts: Pick<DamagedLake, "data_folder" | "lake"> & { folder: ReturnType<typeof temporaryFolder>; worker: DbtWorker; front: CatalogServer; seen: { catalog: Catalog | null }; rows: Map<string, string> }) {
    this.data_folder = parts.data_folder;
    this.lake = parts.lake;
    this.#rows = parts.rows;
    this.#folder = parts.folder;
    this.#worker = parts.worker;
    this.#front = parts.front;
    this.#seen = parts.seen;
  }

  static async make(): Promise<DamagedLake> {
    const folder = temporaryFolder();
    const seen: { catalog: Catalog | null } = { catalog: null };
    const front = await startCatalogServer({
      port: 0,
      get catalog() {
        if (seen.catalog === null) throw new Error("no lake is open");
        return seen.catalog;
      },
    });
    const engine = embeddedEngine({ server: front, s3: null });
    const worker = new DbtWorker({ project: crypto.transform.project, engine, folder: join(folder.path, "dbt") });
    const data_folder = join(folder.path, "data");
    const made = await TestLake.create(data_folder, 1, worker);
    seen.catalog = made.open.catalog;
    const records = await marketStream(5);
    const share = Math.ceil(records.length / INCREMENTS);
    for (let number = 0; number < INCREMENTS; number += 1) {
      await made.append(records.slice(number * share, (number + 1) * share));
      await made.ingest();
      await made.catchUp();
      if (number === 0) cpSync(made.open.lake.catalog_file, join(folder.path, "old-catalog.db"));
      if (number === 0) cpSync(`${made.open.lake.catalog_file}-wal`, join(folder.path, "old-catalog.db-wal"));
    }
    await made.close();
    cpSync(data_folder, join(folder.path, "copy"), { recursive: true });
    const lake = findLake(data_folder, null);
    const rows = new Map<string, string>();
    const prepared = new DamagedLake({ data_folder, lake, folder, worker, front, seen, rows });
    for (const [table, content] of await prepared.rows()) rows.set(table, content);
    prepared.reset();
    return prepared;
  }

  /** The lake as it was made. */
  reset(): void {
    rmSync(this.data_folder, { recursive: true, force: true });
    cpSync(join(this.#folder.path, "copy"), this.data_folder, { recursive: true });
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#front.close();
    this.#folder.remove();
  }

  repair(options: Partial<RepairOptions> = {}): Promise<RepairItem[]> {
    return repair({
      lake: this.lake,
      pipeline: crypto,
      storage: new FileStorage(),
      s3: null,
      clock: systemClock,
      table: null,
      backup: null,
      is_loss_accepted: false,
      is_automatic: false,
      is_applied: false,
      say: () => {},
      modelsFrom: (table) => modelsFrom(this.#worker, table),
      rebuild: ({ catalog }, tables) => this.#build(catalog, tables),
      ...options,
    });
  }

  async #build(catalog: Catalog, tables: readonly string[]): Promise<void> {
    this.#seen.catalog = catalog;
    await rebuildTables({ catalog, pipeline: crypto, worker: this.#worker, say: () => {} }, tables);
  }

  async with<T>(work: (open: OpenLake) => Promise<T>): Promise<T> {
    const open = await openLake(this.lake);
    try {
      return await work(open);
    } finally {
      await open.close();
    }
  }

  /** The books; throws with every claim that does not hold. */
  async verify(): Promise<Books> {
    return this.with(async (open) => {
      const session = await QuerySession.open(open);
      try {
        const books = await verify(open, session, crypto, { is_running: false });
        const broken = books.checks.filter(({ is_true }) => !is_true).map(({ claim, evidence }) => `${claim}: ${evidence}`);
        if (broken.length > 0) throw new Error(`The books do not balance.\n${broken.join("\n")}`);
        return books;
      } finally {
        session.close();
      }
    });
  }

  /** A digest of all rows of every table, in one order. */
  async rows(): Promise<Map<string, string>> {
    return this.with(async (open) => {
      const session = await QuerySession.open(open);
      try {
        const digests = new Map<string, string>();
        for (const table of TABLES) {
          const { rows } = await session.query(`select * from ${table} order by all`);
          digests.set(table, `${rows.length} rows ${createHash("sha256").update(JSON.stringify(rows)).digest("hex")}`);
        }
        return digests;
      } finally {
        session.close();
      }
    });
  }

  /** Tables whose rows are not as they were made. */
  async changedTables(): Promise<string[]> {
    const rows = await this.rows();
    return TABLES.filter((table) => rows.get(table) !== this.#rows.get(table));
  }

  async sql(statement: string): Promise<void> {
    await this.with(async ({ server }) => {
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
    return this.with(({ catalog }) => catalog.loadTable(tableNamed(table)));
  }

  /** Path of the manifest list of the current snapshot. */
  async manifestList(table: string): Promise<string> {
    return pathOfLocation(currentSnapshot((await this.load(table)).metadata)?.["manifest-list"] ?? "");
  }

  async metadataFile(table: string): Promise<string> {
    return pathOfLocation((await this.load(table)).metadata_location);
  }

  /** Paths of the manifests in the table's folder, the newest first. */
  async manifests(table: string): Promise<string[]> {
    const cwd = pathOfLocation(`${(await this.load(table)).metadata.location}/metadata`);
    return globSync("*-m*.avro", { cwd }).map((file) => join(cwd, file));
  }

  async metadataFiles(table: string): Promise<string[]> {
    const cwd = pathOfLocation(`${(await this.load(table)).metadata.location}/metadata`);
    return globSync("*.metadata.json", { cwd }).map((file) => join(cwd, file)).sort();
  }

  /** Paths of the data files of the current snapshot, the largest first. */
  async dataFiles(table: string): Promise<string[]> {
    const { metadata } = await this.load(table);
    const snapshot = currentSnapshot(metadata);
    const files: LiveFile[] = snapshot === null ? [] : await new LiveFiles(new FileStorage()).of(metadata, snapshot);
    const data = files.filter(({ content }) => content === 0).sort((a, b) => b.size_bytes - a.size_bytes || a.path.localeCompare(b.path));
    return data.map(({ path }) => pathOfLocation(path));
  }

  async dataFile(table: string): Promise<string> {
    const [file] = await this.dataFiles(table);
    if (file === undefined) throw new Error(`${table} has no data file`);
    return file;
  }

  /** The log forgets what bronze has. */
  async pruneLog(): Promise<void> {
    await this.with(async ({ log }) => {
      for (const { partition, end } of await log.bounds(TOPIC)) await log.prune(TOPIC, partition, end, Number.MAX_SAFE_INTEGER);
    });
  }

  restoreOldCatalog(): void {
    for (const end of ["", "-wal"]) cpSync(join(this.#folder.path, `old-catalog.db${end}`), `${this.lake.catalog_file}${end}`);
    rmSync(`${this.lake.catalog_file}-shm`, { force: true });
  }

  /** As `backup` lays it out; returns its folder. */
  backUp(): string {
    const root = join(this.#folder.path, "backup");
    rmSync(root, { recursive: true, force: true });
    const warehouse = pathOfLocation(this.lake.warehouse);
    const files = globSync("**/*", { cwd: warehouse, withFileTypes: true }).filter((entry) => entry.isFile());
    const listed = files.map((entry) => {
      const path = relative(warehouse, join(entry.parentPath, entry.name));
      const bytes = readFileSync(join(warehouse, path));
      mkdirSync(join(root, "files", path, ".."), { recursive: true });
      writeFileSync(join(root, "files", path), bytes);
      return { path, size_bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
    });
    const body = JSON.stringify({ format: 1, number: 1, files: listed });
    mkdirSync(join(root, "manifests"), { recursive: true });
    const header = JSON.stringify({ format: 1, number: 1, sha256: createHash("sha256").update(body).digest("hex") });
    writeFileSync(join(root, "manifests", "00000001.json"), `${header}\n${body}\n`);
    return locationOfPath(root);
  }
}

export function truncate(path: string, share = 0.5): void {
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length * share)));
}

export function empty(path: string): void {
  writeFileSync(path, "");
}

export { BRONZE, SEED, nameOfTable };
