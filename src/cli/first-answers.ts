import type { OpenLake } from "../lake/open.ts";
import { messageOf } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { logOffsets } from "../transform/offsets.ts";
import { BuildProgress, type Increment } from "./build-progress.ts";
import type { Output } from "./output.ts";

export interface FirstAnswersOptions {
  open: OpenLake;
  /**
   * With `is_until_drained`, the answers come at the end. Without `is_transforming`, they are of gold's present
   * content.
   */
  request: { pipeline: Pipeline; output: Output; is_until_drained: boolean; is_transforming: boolean };
  signal: AbortSignal;
  built(increment: Increment): void;
  /** Runs the questions and prints the answers. */
  answer(): Promise<void>;
}

/** Time in which a source delivers its first new records. */
const SETTLE_MS = 10_000;

/** Prints the answers once per run, when the backlog is in gold; reports each increment. */
export class FirstAnswers {
  readonly #options: FirstAnswersOptions;
  readonly #progress: BuildProgress;
  readonly #settling: NodeJS.Timeout;
  #counting: Promise<void> = Promise.resolve();
  #answering: Promise<void> | null = null;

  constructor(options: FirstAnswersOptions) {
    const { open, built } = options;
    const { pipeline, is_transforming } = options.request;
    const topic = pipeline.topic.name;
    this.#options = options;
    this.#progress = new BuildProgress({
      consumed: () => logOffsets(open.catalog, pipeline.reconciliation.accepted),
      logEnd: async () =>
        Object.fromEntries((await open.log.bounds(topic)).map(({ partition, end }) => [`${topic}/${partition}`, end])),
      built,
      caughtUp: () => this.#answer(),
    });
    this.#settling = setTimeout(
      () => this.#count(() => this.#progress.settle({ has_backlog: !is_transforming })),
      is_transforming ? SETTLE_MS : 0,
    );
    this.#settling.unref();
    options.signal.addEventListener("abort", () => clearTimeout(this.#settling), { once: true });
  }

  /** Records an increment and its duration. */
  increment(seconds: number): void {
    this.#count(() => this.#progress.increment(seconds));
  }

  /** Waits for running queries and starts no new ones. */
  async end(): Promise<void> {
    clearTimeout(this.#settling);
    await this.#counting;
    await this.#answering;
  }

  /** Runs one count at a time; after a failure of the catalog, the next increment counts again. */
  #count(work: () => Promise<void>): void {
    this.#counting = this.#counting
      .then(work)
      .catch((error: unknown) => this.#options.request.output.warn(messageOf(error)));
  }

  #answer(): void {
    const { request, signal, answer } = this.#options;
    if (!request.is_until_drained && !signal.aborted) this.#answering ??= answer();
  }
}
