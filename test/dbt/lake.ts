import { join, relative } from "node:path";
import { crypto } from "../../pipelines/crypto.ts";
import type { Catalog } from "../../src/catalog/catalog.ts";
import { startCatalogServer, type CatalogServer } from "../../src/catalog/server.ts";
import type { Clock } from "../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { openLake, type OpenLake } from "../../src/lake/open.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { createIngest, type Ingest } from "../../src/ingest/ingest.ts";
import { openOrCreateLake, rememberAsCurrent } from "../../src/lake/lake.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { embeddedEngine } from "../../src/transform/engine.ts";
import { logOffsets } from "../../src/transform/offsets.ts";
import { coversOffsets } from "../../src/log/offsets.ts";
import { AT_ONCE } from "../../src/base/pacing.ts";
import type { Pipeline } from "../../src/pipeline/definition.ts";
import type { ReconciledFigures } from "../../src/verify/reconcile.ts";
import { verify } from "../../src/verify/verify.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { DbtWorker, type CommandResult } from "../../src/transform/worker.ts";
import { temporaryFolder } from "../support/coinlake.ts";

export const TOPIC = crypto.topic.name;
export const BRONZE = crypto.bronze.table;

/** Every table of the dbt project. */
export const MODELS = [
  "silver.crypto_price_updates",
  "silver.crypto_price_duplicates",
  "silver.crypto_prices_rejected",
  "silver.crypto_prices_clean",
  "silver.crypto_listings",
  "gold.fact_crypto_ticks",
  "gold.fact_crypto_hourly",
  "gold.dim_crypto",
  "gold.dim_time",
] as const;

/** Lakes have separate times, but the machine's clock must advance, because it stamps commits. */
const clock: Clock = {
  now_us: () => Date.now() * 1000,
  wait: () => Promise.reject(new Error("nothing in these tests has a reason to wait")),
};

export interface LakesOptions {
  pipeline?: Pipeline;
  /** Folder of a dbt project that replaces the pipeline's project. */
  project?: string;
}

/**
 * Sequential lakes for the tests of a file, which share one warm dbt worker, because its start costs seconds of CPU.
 * The worker has one catalog address for its lifetime; the server at that address answers for the open lake.
 */
export class Lakes {
  readonly #folder = temporaryFolder();
  readonly #worker: DbtWorker;
  readonly #front: CatalogServer;
  readonly #served: { catalog: Catalog | null };
  #opened: { lake: TestLake | null } = { lake: null };
  #count = 0;

  readonly #pipeline: Pipeline;

  private constructor(
    front: CatalogServer,
    served: { catalog: Catalog | null },
    { project, pipeline = crypto }: LakesOptions,
  ) {
    this.#front = front;
    this.#served = served;
    this.#pipeline = pipeline;
    this.#worker = new DbtWorker({
      project: project === undefined ? pipeline.transform.project : relative(projectFolder(), project),
      engine: embeddedEngine({ server: front, s3: null }),
      folder: join(this.#folder.path, "dbt"),
    });
  }

  static async open(options: LakesOptions = {}): Promise<Lakes> {
    const served: { catalog: Catalog | null } = { catalog: null };
    const front = await startCatalogServer({
      port: 0,
      get catalog() {
        if (served.catalog === null) throw new Error("no lake is open");
        return served.catalog;
      },
    });
    return new Lakes(front, served, options);
  }

  /** Closes the previous lake and opens a new, empty one; without a data folder, in one that `close` removes. */
  async fresh({
    partitions = 1,
    data_folder = join(this.#folder.path, `lake-${(this.#count += 1)}`),
  }: { partitions?: number; data_folder?: string } = {}): Promise<TestLake> {
    await this.#opened.lake?.close();
    const lake = await TestLake.create(data_folder, { partitions, worker: this.#worker, pipeline: this.#pipeline });
    this.#opened.lake = lake;
    this.#served.catalog = lake.open.catalog;
    return lake;
  }

  /** Closes the open lake, so that its folder can be copied. */
  async release(): Promise<void> {
    await this.#opened.lake?.close();
    this.#opened = { lake: null };
  }

  /** Runs the models over another catalog until they have consumed the offsets. */
  async build(catalog: Catalog, offsets: Record<string, number>): Promise<void> {
    await this.over(catalog, async (worker) => {
      do {
        const failed = (await worker.run(["run", "--no-write-json"])).nodes.filter(({ status }) => status === "error");
        if (failed.length > 0) throw new Error(failed.map(({ name, message }) => `${name}: ${message}`).join("\n"));
      } while (!coversOffsets(await logOffsets(catalog, this.#pipeline.reconciliation.accepted), offsets));
    });
  }

  /** Serves another catalog to the worker during `work`; null if the worker needs none. */
  async over<T>(catalog: Catalog | null, work: (worker: Pick<DbtWorker, "run">) => Promise<T>): Promise<T> {
    const before = this.#served.catalog;
    this.#served.catalog = catalog;
    try {
      return await work(this.#worker);
    } finally {
      this.#served.catalog = before;
    }
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#opened.lake?.close();
    await this.#front.close();
    this.#folder.remove();
  }
}

interface TestLakeOptions {
  pipeline: Pipeline;
  partitions: number;
  worker: DbtWorker;
}

/** A lake of real components: SQLite log and catalog, DuckDB's Parquet, dbt, SQL. */
export class TestLake {
  /** The value of `--data` on the command line. */
  readonly data_folder: string;
  readonly open: OpenLake;
  readonly session: QuerySession;
  readonly pipeline: Pipeline;
  readonly #worker: DbtWorker;
  readonly #closers: (() => void)[] = [];

  private constructor(
    data_folder: string,
    open: OpenLake,
    session: QuerySession,
    { pipeline, worker }: TestLakeOptions,
  ) {
    this.data_folder = data_folder;
    this.open = open;
    this.session = session;
    this.pipeline = pipeline;
    this.#worker = worker;
  }

  static async create(data_folder: string, options: TestLakeOptions): Promise<TestLake> {
    const { pipeline, partitions } = options;
    const lake = openOrCreateLake(data_folder, { name: "simulated", kind: "simulated", pipeline: pipeline.name });
    rememberAsCurrent(data_folder, lake);
    const open = await openLake(lake);
    await open.log.createTopic(pipeline.topic.name, partitions);
    return new TestLake(data_folder, open, await QuerySession.open(open), options);
  }

  /** Appends the records durably to the log, in one append. */
  async append(records: readonly SourceRecord[]): Promise<void> {
    await this.open.log.append(this.pipeline.topic.name, records);
  }

  /** Copies the log to bronze, in commits of about the given size. */
  async ingest(commit_size_bytes = this.pipeline.bronze.commit_size_bytes): Promise<void> {
    const ingest = await this.#ingestBy(commit_size_bytes);
    await ingest.drain();
  }

  /**
   * Each call has a new ingester, as after a restart: only the table's committed offsets determine where it continues.
   */
  async #ingestBy(commit_size_bytes: number): Promise<Ingest> {
    const { log, catalog, storage } = this.open;
    const records = await openParquetWriter({ storage });
    this.#closers.push(() => records.close());
    const { bronze, topic } = this.pipeline;
    const [namespace = "", name = ""] = bronze.table.split(".");
    const limits = { pacing: AT_ONCE, commit_size_bytes, retention_ms: topic.retention_ms };
    return createIngest({
      log,
      catalog,
      storage,
      records,
      table: { namespace: [namespace], name },
      topic: topic.name,
      clock,
      limits,
    });
  }

  /** One `dbt run`. Throws with dbt's output if a model fails. */
  async increment(vars: Readonly<Record<string, string | number | boolean>> = {}, ...flags: string[]): Promise<void> {
    const failed = (await this.dbt("run", "--no-write-json", "--vars", JSON.stringify(vars), ...flags)).nodes.filter(
      ({ status }) => status === "error",
    );
    if (failed.length > 0) throw new Error(failed.map(({ name, message }) => `${name}: ${message}`).join("\n"));
  }

  /** Runs increments until silver has all of bronze. */
  async catchUp(): Promise<void> {
    const { catalog } = this.open;
    const { bronze, reconciliation } = this.pipeline;
    do await this.increment();
    while (!coversOffsets(await logOffsets(catalog, reconciliation.accepted), await logOffsets(catalog, bronze.table)));
  }

  dbt(...args: string[]): Promise<CommandResult> {
    return this.#worker.run(args);
  }

  /**
   * dbt's tests of the data, as in operation: unit tests do not depend on the lake, and take longer than all others.
   */
  dataTests(): Promise<CommandResult> {
    return this.dbt("test", "--exclude", "resource_type:unit_test", "--no-write-json");
  }

  /** The figures of `verify`; throws with all findings if there are any. */
  async reconcile(): Promise<ReconciledFigures["figures"]> {
    const { findings, figures } = await verify({ ...this.open, checksums: null }, this.pipeline);
    const broken = findings.map(({ code, message }) => `${code}: ${message}`);
    if (broken.length > 0) throw new Error(`The lake is damaged.\n${broken.join("\n")}`);
    return figures;
  }

  /** Rows as text, in the SQL's order. */
  async rows(sql: string): Promise<(string | null)[][]> {
    return (await this.session.query(sql)).rows;
  }

  /** Changes tables as another engine would, without the pipeline. */
  async change(sql: string): Promise<void> {
    const instance = await openDuckDB();
    const connection = await instance.connect();
    try {
      await attachCatalog(connection, this.open.server.url, "lake");
      await connection.run(sql);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  async close(): Promise<void> {
    this.session.close();
    for (const close of this.#closers) close();
    await this.open.close();
  }
}
