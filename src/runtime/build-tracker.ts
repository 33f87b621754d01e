import type { OpenLake } from "../lake/open.ts";
import { messageOf } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { logOffsets } from "../transform/offsets.ts";
import { BuildProgress, type Increment } from "./build-progress.ts";
import type { Output } from "../cli/output.ts";

export interface FirstAnswersOptions {
  open: OpenLake;
  /** A drain answers at its end. Where an external scheduler transforms, what gold holds now is all that this process knows of. */
  request: { pipeline: Pipeline; output: Output; is_until_drained: boolean; is_transforming: boolean };
  signal: AbortSignal;
  built(increment: Increment): void;
  /** Asks the questions and prints the answers. */
  answer(): Promise<void>;
}

/** A source that has something new has sent it by then. */
const SETTLE_MS = 10_000;

/** Prints the answers once in a run, when the backlog is in gold; reports each increment. */
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
      consumed: () => logOffsets(open.catalog, pipeline.books.accepted),
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

  /** After an increment that took so long. */
  increment(seconds: number): void {
    this.#count(() => this.#progress.increment(seconds));
  }

  /** Resolves once nothing is asked any more; nothing is begun afterwards. */
  async end(): Promise<void> {
    clearTimeout(this.#settling);
    await this.#counting;
    await this.#answering;
  }

  /** One after the other; a catalog that does not answer now is asked again after the next increment. */
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
