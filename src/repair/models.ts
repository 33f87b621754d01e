import { tableNamed } from "../iceberg/errors.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { OperatingError } from "../base/errors.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import type { Lake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { embeddedEngine } from "../transform/engine.ts";
import { coversOffsets, maxOffsets, minOffsets, totalOffset, type LogOffsets } from "../log/offsets.ts";
import { metadataOf, rebuiltUpTo } from "../transform/rebuilding.ts";
import { reachableOffsets } from "../transform/reachable.ts";
import { Transform } from "../transform/transform.ts";
import { DbtWorker } from "../transform/worker.ts";
import { consumedOffsetsOrNone } from "./bronze-plan.ts";
import { SEED_PROPERTY } from "./catalog-plan.ts";
import type { RepairedCatalog } from "./open-catalog.ts";

export interface ModelsOptions {
  lake: Lake;
  pipeline: Pipeline;
  s3: S3Settings | null;
  say(text: string): void;
}

/** An unused catalog: the project is parsed, not run. */
const NO_CATALOG = "http://127.0.0.1:1";

/** The models of a lake's dbt project: their dependencies and runs. */
export class DbtModels {
  readonly #options: ModelsOptions;
  #reader: DbtWorker | null = null;

  constructor(options: ModelsOptions) {
    this.#options = options;
  }

  /** See RepairScope.modelsFrom. */
  from(table: string): Promise<string[]> {
    this.#reader ??= this.#worker({ kind: "embedded", catalog_url: NO_CATALOG, s3: null });
    return modelsFrom(this.#reader, table);
  }

  /** Runs increments until each table has consumed all of bronze. Throws MODEL_FAILED, BUILD_STALLED. */
  async rebuild({ catalog, server }: RepairedCatalog, tables: readonly string[]): Promise<void> {
    await this.close();
    const worker = this.#worker(embeddedEngine({ server, s3: this.#options.s3 }));
    try {
      await rebuildTables({ catalog, pipeline: this.#options.pipeline, worker, say: this.#options.say }, tables);
    } finally {
      await worker.close();
    }
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    this.#reader = null;
  }

  #worker(engine: ConstructorParameters<typeof DbtWorker>[0]["engine"]): DbtWorker {
    const { pipeline, lake } = this.#options;
    return new DbtWorker({ project: pipeline.transform.project, engine, folder: lake.dbt_folder });
  }
}

/** dbt selects nothing for a name that is not a model or seed. */
export async function modelsFrom(worker: Pick<DbtWorker, "run">, table: string): Promise<string[]> {
  const name = table.slice(table.indexOf(".") + 1);
  if (!/^\w+$/.test(name)) return [];
  const selected = ["--select", `${name}+`, "--resource-type", "model", "--resource-type", "seed"];
  const { listed = [] } = await worker.run(["ls", ...selected, "--output", "json", "--output-keys", "schema alias"]);
  const tables = listed.map(({ schema, alias }) => `${schema}.${alias}`);
  return tables.includes(table) ? tables : [];
}

interface RebuildParts extends Pick<RepairedCatalog, "catalog"> {
  pipeline: Pipeline;
  worker: Pick<DbtWorker, "run">;
  say(text: string): void;
}

/** Each increment processes a bounded batch, which bounds memory. */
export async function rebuildTables(
  { catalog, pipeline, worker, say }: RebuildParts,
  tables: readonly string[],
): Promise<void> {
  const transform = new Transform({ pipeline, catalog, worker });
  const target = await offsetsToReach(catalog, pipeline);
  for (let behind = await tablesBehind({ catalog, pipeline }, tables, target); behind.size > 0;) {
    await transform.increment();
    const now = await tablesBehind({ catalog, pipeline }, tables, target);
    if (JSON.stringify([...now]) === JSON.stringify([...behind])) throw stalled([...now.keys()]);
    behind = now;
    if (behind.size > 0)
      say(
        `rebuilt: ${Math.min(...behind.values()).toLocaleString("en")} of ` +
          `${totalOffset(target).toLocaleString("en")} records`,
      );
  }
}

/** The lowest consumed offsets of the tables before the rebuild. */
export async function offsetsToReach(catalog: Catalog, { bronze }: Pipeline): Promise<LogOffsets> {
  const held = await reachableOffsets(catalog, bronze.table);
  let reached: LogOffsets = {};
  for (const layer of BUILT_LAYERS) {
    for (const identifier of (await catalog.hasNamespace([layer])) ? await catalog.listTables([layer]) : []) {
      const metadata = await metadataOf(catalog, identifier);
      if (metadata === null) continue;
      reached = maxOffsets(reached, maxOffsets(consumedOffsetsOrNone(metadata), rebuiltUpTo(metadata)));
    }
  }
  return minOffsets([held, reached]);
}

/** Tables that lag, with their consumed records. A seed lags until its file is loaded. */
async function tablesBehind(
  { catalog, pipeline }: Pick<RebuildParts, "catalog" | "pipeline">,
  tables: readonly string[],
  target: LogOffsets,
): Promise<Map<string, number>> {
  const behind = new Map<string, number>();
  // dbt does not build other programs' tables.
  for (const table of new Set(tables.filter((name) => pipeline.reconciliation.tables[name] !== undefined))) {
    if (!(await catalog.hasTable(tableNamed(table)))) {
      behind.set(table, 0);
      continue;
    }
    const { metadata } = await catalog.loadTable(tableNamed(table));
    const offsets = consumedOffsets(metadata);
    const is_seed = pipeline.reconciliation.tables[table]?.is_seed === true;
    const is_behind = is_seed ? metadata.properties[SEED_PROPERTY] === undefined : !coversOffsets(offsets, target);
    if (is_behind) behind.set(table, totalOffset(offsets));
  }
  return behind;
}

function stalled(tables: readonly string[]): OperatingError {
  return new OperatingError(
    "BUILD_STALLED",
    `An increment succeeded, but these tables still lack records of bronze: ${tables.join(", ")}`,
    {
      next_step: "Run `npm run -s coinlake -- verify` to find the missing records.",
    },
  );
}
