import type { TableCatalog } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";
import { BUILT_LAYERS, type BuiltLayer } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { nobodyListens, type StepListener } from "../base/failpoints.ts";
import { placeOf, placesIn } from "./carried.ts";
import type { DbtEngine } from "./engine.ts";
import { hasConsumed, leastOf, logOffsets, recordsAhead } from "./offsets.ts";
import { reachableOffsets } from "./reachable.ts";
import { offsetsBeingRebuilt } from "./rebuilding.ts";
import type { CommandResult, DbtWorker } from "./worker.ts";

export interface TransformOptions {
  pipeline: Pipeline;
  catalog: TableCatalog;
  worker: Pick<DbtWorker, "run">;
  /** What runs the worker's SQL. */
  engine?: DbtEngine["kind"];
  step?: StepListener;
}

export type Effort = Pick<CommandResult, "seconds" | "cpu_seconds">;

/**
 * What an increment moves on: both layers together; or silver alone, up to bronze, and later gold, up to silver, for those who look
 * at silver's quality in between.
 */
export type Layer = BuiltLayer | null;

/** What the schedule keeps up to date: the batch and every table that follows the log. */
const RUN = ["run", "--no-write-json"];
/** On Spark seeds are loaded by dbt itself, which sees their files; they come first. */
const BUILD = ["build", "--no-write-json", "--resource-type", "model", "--resource-type", "seed"];
/** Unit tests prove the models, not the lake: they belong to `npm test`. */
const TEST = ["test", "--exclude", "resource_type:unit_test", "--no-write-json"];
/** On Spark nodes go one at a time (the profile says why). Tests only read: while one is planned, which takes a core, others run. */
const SIDE_BY_SIDE = ["--threads", "4"];

/** Bronze to gold: dbt increments until silver and gold stand where bronze stands. */
export class Transform {
  readonly #pipeline: Pipeline;
  readonly #catalog: TableCatalog;
  readonly #worker: Pick<DbtWorker, "run">;
  readonly #engine: DbtEngine["kind"];
  readonly #step: StepListener;

  constructor({ pipeline, catalog, worker, engine = "embedded", step = nobodyListens }: TransformOptions) {
    this.#pipeline = pipeline;
    this.#catalog = catalog;
    this.#worker = worker;
    this.#engine = engine;
    this.#step = step;
  }

  /** How many records of bronze silver's verdict tables lack, or a table that is being built again. */
  async waitingRecords(): Promise<number> {
    return recordsAhead(await this.#reachedBy(null), await this.#placeOf("bronze"));
  }

  /** Whether there are tables to test. */
  async hasBuilt(): Promise<boolean> {
    return Object.keys(await logOffsets(this.#catalog, this.#pipeline.reconciliation.accepted)).length > 0;
  }

  /** One increment over what a layer lacks. Throws MODEL_FAILED with dbt's own words; what was committed stays right. */
  async increment({ layer = null }: { layer?: Layer } = {}): Promise<CommandResult> {
    this.#step("before transform");
    const result = await this.#worker.run([...(this.#engine === "spark" ? BUILD : RUN), ...exclusionOf(layer)]);
    this.#step("after transform");
    const failed = result.nodes.filter(({ status }) => status === "error");
    if (!result.is_success || failed.length > 0) {
      const words = failed.map(({ name, message }) => `${name}: ${message ?? "no message"}`).join("\n");
      throw new OperatingError(
        "MODEL_FAILED",
        `dbt could not build ${failed.map(({ name }) => name).join(", ") || "the models"}.\n${words}`,
        {
          next_step: DAMAGED.test(words)
            ? "Run `npm run -s coinlake -- repair`; the increment is tried again, and succeeds once the file is back."
            : "The increment is tried again; each table keeps its last commit. If it keeps failing, mend the model named above.",
          is_retryable: true,
        },
      );
    }
    return result;
  }

  /**
   * Increments, each a bounded batch, until the layer has all that the one before it has now; resolves to what dbt took for it.
   * What comes meanwhile is for the next time: else a steady stream would keep dbt busy without end. Throws BUILD_STALLED where an
   * increment succeeds and moves nothing, as with rows that bronze has lost.
   */
  async catchUp({ layer = null }: { layer?: Layer } = {}): Promise<Effort> {
    const before = layer === "gold" ? "silver" : "bronze";
    // What Spark's stream has brought to bronze is told by the increment that looks first.
    let target = this.#engine === "spark" && before === "bronze" ? null : await this.#placeOf(before);
    const effort = { seconds: 0, cpu_seconds: 0 };
    let consumed = await this.#consumedByTables();
    for (;;) {
      const { seconds, cpu_seconds } = await this.increment({ layer });
      effort.seconds += seconds;
      effort.cpu_seconds += cpu_seconds;
      target ??= await this.#placeOf(before);
      const now = await this.#reachedBy(layer);
      if (hasConsumed(now, target)) return effort;
      const moved = await this.#consumedByTables();
      if (moved === consumed) throw stalled(layer ?? "silver", before, now, target);
      consumed = moved;
    }
  }

  /** All tests of the project. Failing tests are results: the caller decides what they mean. */
  async test(): Promise<CommandResult> {
    return this.#worker.run(this.#engine === "spark" ? [...TEST, ...SIDE_BY_SIDE] : TEST);
  }

  /** A whole run moves all tables together: one tells of them all, but for those that a repair has set back. */
  async #reachedBy(layer: Layer): Promise<Record<string, number>> {
    if (layer !== null) return this.#placeOf(layer);
    const accepted = await logOffsets(this.#catalog, this.#pipeline.reconciliation.accepted);
    return leastOf([accepted, ...(await offsetsBeingRebuilt(this.#catalog))]);
  }

  /** Of all tables: those that lag behind the others, after a failed increment, move alone for a while. */
  async #consumedByTables(): Promise<string> {
    const places = [];
    for (const layer of BUILT_LAYERS) places.push(await placesIn(this.#catalog, layer));
    return JSON.stringify(places);
  }

  /** Up to where all of a layer has come. */
  async #placeOf(layer: "bronze" | "silver" | "gold"): Promise<Record<string, number>> {
    return layer === "bronze"
      ? reachableOffsets(this.#catalog, this.#pipeline.bronze.table)
      : placeOf(this.#catalog, layer);
  }
}

function stalled(
  layer: string,
  before: string,
  reached: Record<string, number>,
  target: Record<string, number>,
): OperatingError {
  const lacking = Object.entries(target).filter(([partition, next]) => (reached[partition] ?? 0) < next);
  const gaps = lacking
    .map(([partition, next]) => `${partition} from offset ${reached[partition] ?? 0} to ${next}`)
    .join(", ");
  return new OperatingError(
    "BUILD_STALLED",
    `An increment succeeded, but ${layer} still lacks what ${before} says it holds: ${gaps}`,
    {
      next_step: "Run `npm run -s coinlake -- verify` to see what is missing, and `repair` to bring it back.",
      is_retryable: true,
    },
  );
}

/** The catalog's words, which reach dbt through DuckDB. */
const DAMAGED = /The table \S+ is damaged: /;

/** The other layer's models; their tests have no part in a build. */
function exclusionOf(layer: Layer): string[] {
  return layer === null ? [] : ["--exclude", `path:models/${layer === "gold" ? "silver" : "gold"}`];
}
