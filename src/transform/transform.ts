import type { TableCatalog } from "../iceberg/model.ts";
import { isDiskFullMessage } from "../base/disk-full.ts";
import { OperatingError } from "../base/errors.ts";
import { BUILT_LAYERS, type BuiltLayer } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { noop, type StepListener } from "../base/failpoints.ts";
import { layerOffsets, tableOffsets } from "./layer-offsets.ts";
import type { DbtEngine } from "./engine.ts";
import { logOffsets } from "./offsets.ts";
import {
  coversOffsets,
  equalOffsets,
  hasOffsets,
  minOffsets,
  recordsBetween,
  type LogOffsets,
} from "../log/offsets.ts";
import { reachableOffsets } from "./reachable.ts";
import { offsetsBeingRebuilt } from "./rebuilding.ts";
import type { CommandResult, DbtWorker } from "./worker.ts";

export interface TransformOptions {
  pipeline: Pipeline;
  catalog: TableCatalog;
  worker: Pick<DbtWorker, "run">;
  /** The engine that runs the worker's SQL. */
  engine?: DbtEngine["kind"];
  step?: StepListener;
}

export type Effort = Pick<CommandResult, "seconds" | "cpu_seconds">;

/**
 * The layer that an increment builds: null for both together; or silver alone, up to bronze, and later gold, up to
 * silver, so that silver's quality can be checked in between.
 */
export type Layer = BuiltLayer | null;

/** dbt's command of an increment: builds every table that follows the log. */
const RUN = ["run", "--no-write-json"];
/** On Spark, dbt itself loads the seeds, before the models. */
const BUILD = ["build", "--no-write-json", "--resource-type", "model", "--resource-type", "seed"];
/** Excludes unit tests, which test the models rather than the lake; `npm test` runs them. */
const TEST = ["test", "--exclude", "resource_type:unit_test", "--no-write-json"];
/** Spark runs models one at a time (see the profile). Tests only read, so some can run while others are planned. */
const SIDE_BY_SIDE = ["--threads", "4"];

/** Builds silver and gold from bronze, in dbt increments, until they have consumed the same offsets. */
export class Transform {
  readonly #pipeline: Pipeline;
  readonly #catalog: TableCatalog;
  readonly #worker: Pick<DbtWorker, "run">;
  readonly #engine: DbtEngine["kind"];
  readonly #step: StepListener;
  /** Whether the last increment has built every table: until then one table does not represent the others. */
  #are_tables_even = false;

  constructor({ pipeline, catalog, worker, engine = "embedded", step = noop }: TransformOptions) {
    this.#pipeline = pipeline;
    this.#catalog = catalog;
    this.#worker = worker;
    this.#engine = engine;
    this.#step = step;
  }

  /**
   * The number of bronze records that silver's verdict tables, or a table that is being rebuilt, have not consumed. At
   * the start, and after an increment that failed, it counts what any table lacks.
   */
  async waitingRecords(): Promise<number> {
    const consumed = [await this.#consumedBy(null)];
    if (!this.#are_tables_even) consumed.push(...(await this.#consumedByTables()));
    const waiting = recordsBetween(minOffsets(consumed), await this.#layerOffsets("bronze"));
    if (waiting === 0) this.#are_tables_even = true;
    return waiting;
  }

  /** Whether there are tables to test. */
  async hasBuilt(): Promise<boolean> {
    return hasOffsets(await logOffsets(this.#catalog, this.#pipeline.reconciliation.accepted));
  }

  /**
   * Runs one increment. Throws MODEL_FAILED with dbt's message, or STORAGE_FULL; tables that were committed before stay
   * correct.
   */
  async increment({ layer = null }: { layer?: Layer } = {}): Promise<CommandResult> {
    this.#step("before transform");
    this.#are_tables_even = false;
    const result = await this.#worker.run([...(this.#engine === "spark" ? BUILD : RUN), ...exclusionOf(layer)]);
    this.#step("after transform");
    const failed = result.nodes.filter(({ status }) => status === "error");
    if (!result.is_success || failed.length > 0) throw buildFailed(failed);
    this.#are_tables_even = layer === null;
    return result;
  }

  /**
   * Runs increments, each a bounded batch, until the layer has consumed all that the previous layer holds at the call;
   * resolves to dbt's total time. Later records wait for the next call, because a steady stream would otherwise keep
   * dbt busy forever. Throws BUILD_STALLED where an increment succeeds without advancing, for example where bronze has
   * lost rows.
   */
  async catchUp({ layer = null }: { layer?: Layer } = {}): Promise<Effort> {
    const before = layer === "gold" ? "silver" : "bronze";
    // Bronze's offsets may lag behind the rows of Spark's stream; the increment updates them first.
    let target = this.#engine === "spark" && before === "bronze" ? null : await this.#layerOffsets(before);
    const effort = { seconds: 0, cpu_seconds: 0 };
    let consumed = await this.#consumedByTables();
    for (;;) {
      const { seconds, cpu_seconds } = await this.increment({ layer });
      effort.seconds += seconds;
      effort.cpu_seconds += cpu_seconds;
      target ??= await this.#layerOffsets(before);
      const now = await this.#consumedBy(layer);
      if (coversOffsets(now, target)) return effort;
      const moved = await this.#consumedByTables();
      if (haveEqualOffsets(moved, consumed)) throw stalled(layer ?? "silver", before, now, target);
      consumed = moved;
    }
  }

  /** Runs all tests of the project. Failing tests are results, not errors. */
  async test(): Promise<CommandResult> {
    return this.#worker.run(this.#engine === "spark" ? [...TEST, ...SIDE_BY_SIDE] : TEST);
  }

  /** A whole run advances all tables together, so one table represents all, except tables that a repair has reset. */
  async #consumedBy(layer: Layer): Promise<LogOffsets> {
    if (layer !== null) return this.#layerOffsets(layer);
    const accepted = await logOffsets(this.#catalog, this.#pipeline.reconciliation.accepted);
    return minOffsets([accepted, ...(await offsetsBeingRebuilt(this.#catalog))]);
  }

  /**
   * The consumed offsets of all tables. After a failed increment, tables that lag behind the others advance alone until
   * they have caught up.
   */
  async #consumedByTables(): Promise<LogOffsets[]> {
    const consumed: LogOffsets[] = [];
    for (const layer of BUILT_LAYERS) consumed.push(...(await tableOffsets(this.#catalog, layer)));
    return consumed;
  }

  /** The offsets that every table of a layer has consumed. */
  async #layerOffsets(layer: "bronze" | "silver" | "gold"): Promise<LogOffsets> {
    return layer === "bronze"
      ? reachableOffsets(this.#catalog, this.#pipeline.bronze.table)
      : layerOffsets(this.#catalog, layer);
  }
}

function haveEqualOffsets(a: readonly LogOffsets[], b: readonly LogOffsets[]): boolean {
  return a.length === b.length && a.every((offsets, index) => equalOffsets(offsets, b[index] ?? {}));
}

function stalled(layer: string, before: string, reached: LogOffsets, target: LogOffsets): OperatingError {
  const lacking = Object.entries(target).filter(([partition, next]) => (reached[partition] ?? 0) < next);
  const gaps = lacking
    .map(([partition, next]) => `${partition} from offset ${reached[partition] ?? 0} to ${next}`)
    .join(", ");
  return new OperatingError(
    "BUILD_STALLED",
    `An increment succeeded, but ${layer} still lacks what ${before} says it holds: ${gaps}`,
    {
      next_step: "Run `npm run -s coinlake -- verify` to see what is missing, and `repair` to bring it back.",
    },
  );
}

/** The catalog's message, which dbt receives through DuckDB. */
const DAMAGED = /The table \S+ is damaged: /;

/** Excludes the other layer's models. */
function exclusionOf(layer: Layer): string[] {
  return layer === null ? [] : ["--exclude", `path:models/${layer === "gold" ? "silver" : "gold"}`];
}

/** A full disk fails every model with the same words, so the message has none of them. */
function buildFailed(failed: CommandResult["nodes"]): OperatingError {
  const names = failed.map(({ name }) => name).join(", ") || "the models";
  const words = failed.map(({ name, message }) => `${name}: ${message ?? "no message"}`).join("\n");
  const message = `dbt could not build ${names}.\n${words}`;
  if (isDiskFullMessage(words)) {
    return new OperatingError("STORAGE_FULL", `The disk is full: dbt could not build ${names}`, {
      next_step: "Free disk space; the increment is tried again, and each table keeps its last commit.",
      cause: new Error(message),
    });
  }
  return new OperatingError("MODEL_FAILED", message, {
    next_step: DAMAGED.test(words)
      ? "Run `npm run -s coinlake -- repair`; the increment is tried again, and succeeds once the file is back."
      : "The increment is tried again; each table keeps its last commit. " +
        "If it keeps failing, correct the model named above.",
    is_retryable: true,
  });
}
