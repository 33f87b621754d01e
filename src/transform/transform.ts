import type { TableCatalog } from "../catalog/model.ts";
import { OperatingError } from "../errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { nobodyListens, type StepListener } from "../steps.ts";
import { hasConsumed, logOffsets } from "./offsets.ts";
import type { CommandResult, DbtWorker } from "./worker.ts";

export interface TransformOptions {
  pipeline: Pipeline;
  catalog: TableCatalog;
  worker: Pick<DbtWorker, "run">;
  step?: StepListener;
}

/** Selects what the schedule keeps up to date: the batch and every table that follows the log. */
const RUN = ["run", "--no-write-json"];
/** Unit tests prove the models, not the lake: they belong to `npm test`. */
const TEST = ["test", "--exclude", "resource_type:unit_test", "--no-write-json"];

/** Bronze to gold: dbt increments until silver and gold stand where bronze stands. */
export class Transform {
  readonly #pipeline: Pipeline;
  readonly #catalog: TableCatalog;
  readonly #worker: Pick<DbtWorker, "run">;
  readonly #step: StepListener;

  constructor({ pipeline, catalog, worker, step = nobodyListens }: TransformOptions) {
    this.#pipeline = pipeline;
    this.#catalog = catalog;
    this.#worker = worker;
    this.#step = step;
  }

  /** Whether every record in bronze has reached silver's verdict tables. */
  async isCaughtUp(): Promise<boolean> {
    const { accepted } = this.#pipeline.books;
    return hasConsumed(await logOffsets(this.#catalog, accepted), await logOffsets(this.#catalog, this.#pipeline.bronze.table));
  }

  /** One increment over what bronze holds beyond silver. Throws MODEL_FAILED with dbt's own words; what was committed stays right. */
  async increment(): Promise<CommandResult> {
    this.#step("before transform");
    const result = await this.#worker.run(RUN);
    this.#step("after transform");
    const failed = result.nodes.filter(({ status }) => status === "error");
    if (!result.is_success || failed.length > 0) {
      const words = failed.map(({ name, message }) => `${name}: ${message ?? "no message"}`).join("\n");
      throw new OperatingError("MODEL_FAILED", `dbt could not build ${failed.map(({ name }) => name).join(", ") || "the models"}.\n${words}`, {
        next_step: "Nothing is lost: the increment is tried again. If it keeps failing, mend the model named above.",
        is_retryable: true,
      });
    }
    return result;
  }

  /**
   * Increments, each a bounded batch, until silver has all that bronze has now; resolves to the seconds that dbt took. What bronze
   * gains meanwhile is for the next time: else a steady stream would keep dbt busy without end.
   */
  async catchUp(): Promise<number> {
    const { books, bronze } = this.#pipeline;
    const target = await logOffsets(this.#catalog, bronze.table);
    let seconds = 0;
    do seconds += (await this.increment()).seconds;
    while (!hasConsumed(await logOffsets(this.#catalog, books.accepted), target));
    return seconds;
  }

  /** All tests of the project. Failing tests are results: the caller decides what they mean. */
  async test(): Promise<CommandResult> {
    return this.#worker.run(TEST);
  }
}
