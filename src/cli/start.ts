import { setFlagsFromString } from "node:v8";
import { OperatingError } from "../base/errors.ts";
import type { StepListener } from "../base/failpoints.ts";
import { sweepSpill } from "../duckdb/spill.ts";
import { rememberAsCurrent } from "../lake/lake.ts";
import type { OpenLake } from "../lake/open.ts";
import { claimLake, claimSource } from "../lake/ownership.ts";
import type { Producer } from "../producer/producer.ts";
import { buildPipeline, type BuiltPipeline, type PipelineOptions } from "../runtime/pipeline.ts";
import { checkToken } from "../serve/guard/authentication.ts";
import { checkPort } from "../serve/server.ts";
import { failedOf, testsOf } from "../transform/test-results.ts";
import type { CommandResult } from "../transform/worker.ts";
import { answersOrNone, printAnswers, printCurrentAnswers } from "./all-answers.ts";
import { stepFromEnvironment } from "./backup-place.ts";
import { chooseSource, type SourceRequest } from "./choose-source.ts";
import { openLakeFromEnvironment } from "./context.ts";
import { lakeOfSource, type Claim } from "./new-lake.ts";
import { style, type Output } from "./output.ts";
import { recoverLake } from "./recover.ts";
import { warnOfSilentRules } from "./silent-rules.ts";
import { Status } from "./status.ts";
import { INTERRUPTED, stopOnSignals } from "./stopping.ts";

type PipelineSettings = Pick<
  PipelineOptions,
  "bronzeJob" | "is_transforming" | "is_maintaining" | "is_until_drained" | "server" | "assets"
>;

export interface StartRequest extends SourceRequest, PipelineSettings {
  catalog_port: number;
  /** False where `produce` fills the log in another process. */
  is_producing: boolean;
}

/**
 * Heap growth in percent before a collection. Messages outlive the young generation, and by default V8 lets the
 * surviving heap double first. At 1,000 records a second, resident memory then varies between 380 and 510 MB; with this
 * setting it stays at 430 MB.
 */
const HEAP_GROWING_PERCENT = 30;

/** A stop that takes longer, such as an increment of minutes, ends the process: that is as safe as a crash. */
const STOP_LIMIT_MS = 15_000;

/** Runs a pipeline until it is drained or Ctrl-C stops it. Throws the error that ended it otherwise. */
export async function start(request: StartRequest): Promise<void> {
  const { output, data_folder, server } = request;
  // Checked before anything is created or fetched.
  if (server !== null) checkToken(server.host, server.token);
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const { producers, kind, lake_name } = await chooseSource(request);
  const { lake: identity, is_new, discard } = lakeOfSource(request, { kind, lake_name });
  const claims: Claim[] = [];
  let [is_claimed, is_open] = [false, false];
  try {
    // The process that transforms is the only writer of the tables.
    if (request.is_transforming) claims.push(claimLake(identity, "start"));
    is_claimed = claims.length > 0;
    if (identity.profile === "cluster" && request.is_producing) claims.push(claimSource(identity, "start"));
    // The server itself starts only once dbt has compiled.
    if (server !== null) await checkPort(server);
    sweepSpill();
    const step = stepFromEnvironment();
    if (!is_new && request.is_transforming) await recoverLake(identity, request.pipeline, output);
    const { catalog_port } = request;
    const lake = await openLakeFromEnvironment(identity, { catalog_port, step, warn: output.warn });
    is_open = true;
    try {
      rememberAsCurrent(data_folder, identity);
      await runIn(lake, request.is_producing ? producers : [], request, step);
    } finally {
      await lake.close();
    }
  } finally {
    if (!is_open) discard(claims, is_claimed);
    for (const claim of claims) claim.release();
  }
}

async function runIn(
  lake: OpenLake,
  producers: readonly Producer[],
  request: StartRequest,
  step: StepListener,
): Promise<void> {
  const { pipeline, output, is_until_drained } = request;
  const stopping = stopOnSignals(output, { limit_ms: STOP_LIMIT_MS });
  let answering: Promise<void> | null = null;
  // A run until drained prints its answers at the end.
  const answerOnce = (): void => {
    if (is_until_drained || stopping.signal.aborted) return;
    answering ??= printCurrentAnswers(lake, pipeline, output, stopping.signal);
  };
  const status = new Status(output, producers, answerOnce);
  let built: BuiltPipeline | null = null;
  try {
    built = await buildPipeline({ ...request, lake, producers, step, signal: stopping.signal, reporter: status });
    announce(lake, output);
    await warnOfSilentRules(lake, pipeline, output.warn);
    const tests = await built.run();
    await answering;
    status.end();
    if (stopping.signal.aborted) reportStopped(request);
    else await conclude(lake, request, tests);
  } finally {
    stopping.dispose();
    status.end();
    await answering;
    await built?.close();
  }
}

function announce({ lake, server }: OpenLake, output: Output): void {
  const kind = lake.kind === "live" ? "" : style(["bold", "magenta"], ` ${lake.kind.toUpperCase()}`);
  output.say(`${style("bold", "Coinlake")}${kind}  lake ${lake.folder}`);
  output.say(`  Iceberg catalog  ${server.url}`);
  output.say(`  in another terminal: npm run -s coinlake -- ask | query "SQL" | verify   (Ctrl-C stops this process)`);
}

function reportStopped({ output, is_until_drained }: StartRequest): void {
  output.say("Stopped cleanly. Everything received is on disk; `npm start` continues from here.");
  // The caller requested a drained lake, and it is not drained.
  if (is_until_drained) process.exitCode = INTERRUPTED;
}

/** Prints the answers and the test results of a drained run. Throws TESTS_FAILED. */
async function conclude(
  lake: OpenLake,
  { pipeline, output }: StartRequest,
  tests: CommandResult | null,
): Promise<void> {
  const answers = await answersOrNone(lake, pipeline);
  if (answers === null)
    output.warn(
      "no record was accepted: `verify` counts rejected rows by reason, and silver's _rejected table holds them.",
    );
  else printAnswers(lake, answers, output);
  const failed = tests === null ? [] : failedOf(tests);
  if (tests?.is_success === false || failed.length > 0) {
    throw new OperatingError(
      "TESTS_FAILED",
      `${failed.length} tests failed: ${failed.map(({ name }) => name).join(", ")}`,
      {
        next_step: "Run `npm run -s coinlake -- dbt test` to see the failing rows, and `verify` to check for damage.",
      },
    );
  }
  output.say(
    `Drained: all records are in gold, ${tests === null ? 0 : testsOf(tests).length} tests passed. ` +
      "Next: npm run -s coinlake -- verify",
  );
}
