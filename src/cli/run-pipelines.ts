import { messageOf, OperatingError } from "../base/errors.ts";
import { explain } from "../base/explain.ts";
import type { StepListener } from "../base/failpoints.ts";
import { Turns } from "../base/turns.ts";
import { keepMemoryReleased } from "../duckdb/release-memory.ts";
import type { OpenLake } from "../lake/open.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Producer } from "../producer/producer.ts";
import { buildPipeline, type BuiltPipeline, type PipelineOptions } from "../runtime/pipeline.ts";
import { Metrics } from "../serve/metrics.ts";
import { failedOf, testsOf } from "../transform/test-results.ts";
import type { CommandResult } from "../transform/worker.ts";
import { answersOrNone, printAnswers, printCurrentAnswers } from "./all-answers.ts";
import { style, type Output } from "./output.ts";
import { warnOfSilentRules } from "./silent-rules.ts";
import { Status } from "./status.ts";
import { INTERRUPTED, stopOnSignals } from "./stopping.ts";

export type RunSettings = Pick<
  PipelineOptions,
  "bronzeJob" | "is_transforming" | "is_maintaining" | "is_until_drained" | "assets"
> & {
  /** Of the process; each pipeline has one that names it. */
  output: Output;
};

export interface StartedPipeline {
  open: OpenLake;
  pipeline: Pipeline;
  producers: readonly Producer[];
  output: Output;
}

type RunRequest = RunSettings & Pick<PipelineOptions, "server"> & { step: StepListener };

/** A pipeline that is built, with what it prints to. */
interface Runnable extends StartedPipeline {
  built: BuiltPipeline;
  status: Status;
  /** The answers that are printed once gold has the backlog of the start. */
  answered(): Promise<void>;
}

/** A stop that takes longer, such as an increment of minutes, ends the process: that is as safe as a crash. */
const STOP_LIMIT_MS = 15_000;

/**
 * Runs pipelines side by side until each is drained or Ctrl-C stops them. The first one that cannot continue stops the
 * others cleanly. Throws its error, or that of the first whose tests failed.
 */
export async function runPipelines(started: readonly StartedPipeline[], request: RunRequest): Promise<void> {
  const stopping = stopOnSignals(request.output, { limit_ms: STOP_LIMIT_MS });
  const failing = new AbortController();
  const signal = AbortSignal.any([stopping.signal, failing.signal]);
  const runnable: Runnable[] = [];
  const stopReleasing = keepMemoryReleased((error) =>
    request.output.warn(`free memory could not be released: ${messageOf(error)}`),
  );
  try {
    const shared = sharedBy(request);
    for (const one of started) runnable.push(await build(one, { ...shared, signal }));
    announce(started, request.output);
    for (const { open, pipeline, output } of started) await warnOfSilentRules(open, pipeline, output.warn);
    const runs = runnable.map(async (one) => {
      const tests = await runOne(one, () => failing.abort());
      if (signal.aborted)
        one.output.say("Stopped cleanly. Everything received is on disk; `npm start` continues from here.");
      else await conclude(one, tests, started.length);
    });
    const errors = (await Promise.allSettled(runs)).flatMap((run) => (run.status === "rejected" ? [run.reason] : []));
    reportOthers(errors.slice(1), request.output);
    if (errors.length > 0) throw errors[0];
    // The caller requested drained lakes, and they are not drained.
    if (stopping.signal.aborted && request.is_until_drained) process.exitCode = INTERRUPTED;
  } finally {
    stopping.dispose();
    stopReleasing();
    for (const { built, status, answered } of runnable) {
      status.end();
      await answered();
      await built.close();
    }
  }
}

type Shared = Omit<PipelineOptions, keyof StartedPipeline | "signal" | "reporter">;

/** What the pipelines of a process have in common. */
function sharedBy(request: RunRequest): Shared {
  let files: ReturnType<RunSettings["assets"]> | null = null;
  return {
    ...request,
    metrics: new Metrics(),
    maintenance_turns: new Turns(1),
    // Bundled once; a failed attempt is repeated by the next caller.
    assets() {
      files ??= request.assets();
      files.catch(() => (files = null));
      return files;
    },
  };
}

async function build(one: StartedPipeline, shared: Shared & { signal: AbortSignal }): Promise<Runnable> {
  const { open, pipeline, producers, output } = one;
  let answering: Promise<void> | null = null;
  // A run until drained prints its answers at the end.
  const answerOnce = (): void => {
    if (shared.is_until_drained || shared.signal.aborted) return;
    answering ??= printCurrentAnswers(open, pipeline, output, shared.signal);
  };
  const status = new Status(output, producers, answerOnce);
  const metrics = output.name === null ? shared.metrics : shared.metrics.labelled({ pipeline: pipeline.name });
  const built = await buildPipeline({ ...shared, open, pipeline, producers, metrics, reporter: status });
  return { ...one, built, status, answered: async () => answering ?? undefined };
}

/** Throws the error that ended the pipeline, after `failed`. */
async function runOne(
  { built, status, output, answered }: Runnable,
  failed: () => void,
): Promise<CommandResult | null> {
  try {
    return await built.run();
  } catch (error) {
    if (output.name !== null) output.warn("this pipeline cannot continue; the others stop cleanly");
    failed();
    throw error;
  } finally {
    await answered();
    status.end();
  }
}

function announce(started: readonly StartedPipeline[], output: Output): void {
  for (const { open, output: own } of started) {
    const kind = open.lake.kind === "live" ? "" : style(["bold", "magenta"], ` ${open.lake.kind.toUpperCase()}`);
    own.say(`${style("bold", "Coinlake")}${kind}  lake ${open.lake.folder}`);
  }
  const [first, ...others] = started;
  if (first === undefined) return;
  output.say(`  Iceberg catalog  ${first.open.server.url}${warehouses(started)}`);
  output.say(`  in another terminal: npm run -s coinlake -- ask | query "SQL" | verify   (Ctrl-C stops this process)`);
  for (const { open, pipeline } of others) output.say(`    for ${pipeline.name}, add --lake ${open.lake.name}`);
}

function warehouses(started: readonly StartedPipeline[]): string {
  return started.length === 1 ? "" : `  warehouses ${started.map(({ pipeline }) => pipeline.name).join(", ")}`;
}

/** The command line prints the first error. */
function reportOthers(errors: readonly unknown[], output: Output): void {
  for (const error of errors) output.warn(error instanceof OperatingError ? explain(error) : messageOf(error));
}

/** Prints the answers and the test results of a drained run. Throws TESTS_FAILED. */
async function conclude(
  { open, pipeline, output }: StartedPipeline,
  tests: CommandResult | null,
  pipelines: number,
): Promise<void> {
  const answers = await answersOrNone(open, pipeline);
  if (answers === null)
    output.warn(
      "no record was accepted: `verify` counts rejected rows by reason, and silver's _rejected table holds them.",
    );
  else printAnswers(open, answers, output);
  const failed = tests === null ? [] : failedOf(tests);
  const select = pipelines === 1 ? "" : ` --lake ${open.lake.name}`;
  if (tests?.is_success === false || failed.length > 0) {
    throw new OperatingError(
      "TESTS_FAILED",
      `${failed.length} tests failed: ${failed.map(({ name }) => name).join(", ")}`,
      {
        next_step:
          `Run \`npm run -s coinlake -- dbt${select} test\` to see the failing rows, ` +
          `and \`verify${select}\` to check for damage.`,
      },
    );
  }
  output.say(
    `Drained: all records are in gold, ${tests === null ? 0 : testsOf(tests).length} tests passed. ` +
      `Next: npm run -s coinlake -- verify${select}`,
  );
}
