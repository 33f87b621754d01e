import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crypto } from "../../pipelines/crypto.ts";
import { backUp } from "../../src/backup/backup.ts";
import type { BackupPlace } from "../../src/backup/manifest.ts";
import type { LoadedTable } from "../../src/iceberg/model.ts";
import { systemClock } from "../../src/base/clock.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import type { OpenLake } from "../../src/lake/open.ts";
import { descriptionOf, type Lake } from "../../src/lake/lake.ts";
import type { RepairItem } from "../../src/repair/item.ts";
import { modelsFrom, rebuildTables } from "../../src/repair/models.ts";
import { repair, type RepairOptions } from "../../src/repair/repair.ts";
import { noop } from "../../src/base/failpoints.ts";
import { locationOfPath, pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import type { Verification } from "../../src/verify/verify.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { BRONZE, MODELS, TOPIC } from "../dbt/lake.ts";
import { PreparedLake } from "../verify/prepared-lake.ts";

export const SEED = "silver.crypto_products";
const TABLES = [BRONZE, SEED, ...MODELS];

/** The lake of the verify suite, with its original rows, and `repair` over one warm dbt worker. */
export class RepairedLake {
  readonly made: PreparedLake;
  readonly #rows: ReadonlyMap<string, Content>;
  readonly #folder = temporaryFolder();

  private constructor(made: PreparedLake, rows: ReadonlyMap<string, Content>) {
    this.made = made;
    this.#rows = rows;
  }

  static async make(): Promise<RepairedLake> {
    const made = await PreparedLake.make();
    const rows = await contentOf(made, () => "*");
    made.reset();
    return new RepairedLake(made, rows);
  }

  get lake(): Lake {
    return this.made.lake;
  }

  reset(): void {
    this.made.reset();
  }

  async close(): Promise<void> {
    await this.made.close();
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
      modelsFrom: (table) => this.made.models(null, (worker) => modelsFrom(worker, table)),
      rebuild: ({ catalog }, tables) =>
        this.made.models(catalog, (worker) =>
          rebuildTables({ catalog, pipeline: crypto, worker, say: () => {} }, tables),
        ),
      ...options,
    });
  }

  with<T>(work: (open: OpenLake) => Promise<T>): Promise<T> {
    return this.made.change(work);
  }

  /** Throws with all findings if there are any. */
  async verify(): Promise<Verification["checks"]> {
    const { checks, findings } = await this.made.verify();
    if (findings.length > 0) throw new Error(findings.map(({ code, message }) => `${code}: ${message}`).join("\n"));
    return checks;
  }

  /** Tables whose rows differ from the original ones. */
  async changedTables(): Promise<string[]> {
    const rows = await contentOf(this.made, (table) => this.#rows.get(table)?.columns ?? "*");
    return TABLES.filter((table) => rows.get(table)?.digest !== this.#rows.get(table)?.digest);
  }

  load(table: string): Promise<LoadedTable> {
    return this.made.load(table);
  }

  sql(statement: string): Promise<void> {
    return this.made.sql(statement);
  }

  /** Path of the manifest list of the current snapshot. */
  async manifestList(table: string): Promise<string> {
    return pathOfLocation((await this.made.snapshot(table))["manifest-list"]);
  }

  async metadataFile(table: string): Promise<string> {
    return pathOfLocation((await this.load(table)).metadata_location);
  }

  manifests(table: string): Promise<string[]> {
    return this.#metadataFolder(table, "*-m*.avro");
  }

  metadataFiles(table: string): Promise<string[]> {
    return this.#metadataFolder(table, "*.metadata.json");
  }

  async #metadataFolder(table: string, pattern: string): Promise<string[]> {
    const cwd = pathOfLocation(`${(await this.load(table)).metadata.location}/metadata`);
    return globSync(pattern, { cwd })
      .map((file) => join(cwd, file))
      .sort();
  }

  /** Paths of the data files of the current snapshot, the largest first. */
  async dataFiles(table: string): Promise<string[]> {
    return (await this.made.files(table)).map(({ path }) => pathOfLocation(path));
  }

  dataFile(table: string): Promise<string> {
    return this.made.dataFile(table);
  }

  /** Prunes the records that bronze has from the log. */
  async pruneLog(): Promise<void> {
    await this.with(async ({ log }) => {
      for (const { partition, end } of await log.bounds(TOPIC))
        await log.prune(TOPIC, partition, end, Number.MAX_SAFE_INTEGER);
    });
  }

  async backUp(): Promise<BackupPlace> {
    const target = { storage: new FileStorage(), root: locationOfPath(join(this.#folder.path, "backup")) };
    await backUp({
      lake: this.lake,
      description: descriptionOf(this.lake.folder),
      storage: new FileStorage(),
      target,
      scratch: join(this.#folder.path, "scratch"),
      pipeline: crypto,
      clock: systemClock,
      step: noop,
      signal: new AbortController().signal,
      progress: () => {},
    });
    return target;
  }

  restoreOldCatalog(): void {
    this.made.restoreOldCatalog();
  }
}

interface Content {
  columns: string;
  digest: string;
}

/** A digest of all rows of every table, in a fixed order. */
async function contentOf(made: PreparedLake, columnsOf: (table: string) => string): Promise<Map<string, Content>> {
  return made.change(async (open) => {
    const session = await QuerySession.open(open);
    try {
      const digests = new Map<string, Content>();
      for (const table of TABLES) {
        const { columns, rows } = await session.query(`select ${columnsOf(table)} from ${table} order by all`);
        const digest = `${rows.length} rows ${createHash("sha256").update(JSON.stringify(rows)).digest("hex")}`;
        digests.set(table, { columns: columns.map(({ name }) => name).join(", "), digest });
      }
      return digests;
    } finally {
      session.close();
    }
  });
}

export function truncate(path: string, share = 0.5): void {
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length * share)));
}

export function empty(path: string): void {
  writeFileSync(path, "");
}

export { BRONZE };
