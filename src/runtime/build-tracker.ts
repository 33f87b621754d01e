import { onAbort } from "../base/abortable.ts";
import { messageOf } from "../base/errors.ts";
import type { OpenLake } from "../lake/open.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { logOffsets } from "../transform/offsets.ts";
import { BuildProgress } from "./build-progress.ts";
import type { PipelineReporter } from "./reporter.ts";

export interface BuildTrackerOptions {
  open: OpenLake;
  pipeline: Pipeline;
  /**
   * False where an external scheduler runs the transforms: this process then knows only what gold holds at its start.
   */
  is_transforming: boolean;
  signal: AbortSignal;
  reporter: Pick<PipelineReporter, "built" | "caughtUp" | "warned">;
}

/** A source that has new records has sent some within this time. */
const SETTLE_MS = 10_000;

/** Reports each increment, and once in a run that the backlog of the start is in gold. */
export class BuildTracker {
  readonly #reporter: BuildTrackerOptions["reporter"];
  readonly #progress: BuildProgress;
  readonly #settling: NodeJS.Timeout;
  #counting: Promise<void> = Promise.resolve();

  constructor({ open, pipeline, is_transforming, signal, reporter }: BuildTrackerOptions) {
    const topic = pipeline.topic.name;
    this.#reporter = reporter;
    this.#progress = new BuildProgress({
      consumed: () => logOffsets(open.catalog, pipeline.reconciliation.accepted),
      logEnd: async () =>
        Object.fromEntries((await open.log.bounds(topic)).map(({ partition, end }) => [`${topic}/${partition}`, end])),
      built: (increment) => reporter.built(increment),
      caughtUp: () => reporter.caughtUp(),
    });
    this.#settling = setTimeout(
      () => this.#count(() => this.#progress.settle({ has_backlog: !is_transforming })),
      is_transforming ? SETTLE_MS : 0,
    );
    this.#settling.unref();
    onAbort(signal, () => clearTimeout(this.#settling));
  }

  /** Resolves when the state before the first increment has been read. */
  began(): Promise<void> {
    return this.#progress.began();
  }

  /** Call after each increment, with its duration. */
  increment(seconds: number): void {
    this.#count(() => this.#progress.increment(seconds));
  }

  /** Resolves once every count has ended; none starts afterwards. */
  async end(): Promise<void> {
    clearTimeout(this.#settling);
    await this.#counting;
  }

  /** One at a time. Where the catalog does not answer, the next increment counts again. */
  #count(work: () => Promise<void>): void {
    this.#counting = this.#counting.then(work).catch((error: unknown) => this.#reporter.warned(messageOf(error)));
  }
}
