import { rmSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { beginAlerts } from "../alert/engine.ts";
import { systemClock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { QuerySession } from "../duckdb/session.ts";
import { keepMemoryReleased } from "../duckdb/release-memory.ts";
import { sweepSpill } from "../duckdb/spill.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { claimFolder, claimLake, claimSource } from "../lake/ownership.ts";
import { listLakes, rememberAsCurrent, type Lake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { ask, type Answer } from "../query/ask.ts";
import { runPipeline, type Following } from "../runtime/run.ts";
import type { Assets } from "../serve/assets.ts";
import { checkToken } from "../serve/guard/authentication.ts";
import { Metrics } from "../serve/metrics.ts";
import { PipelineFigures } from "../serve/pipeline-figures.ts";
import { checkPort } from "../serve/server.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { killAt, nobodyListens, type StepListener } from "../base/failpoints.ts";
import { MaintenanceSchedule } from "../maintain/schedule.ts";
import { embeddedMaintainer } from "../maintain/embedded.ts";
import { MaintenanceStore } from "../maintain/store.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import { embeddedEngine, engineOf } from "../transform/engine.ts";
import { prepareModels, type LiveModels } from "../transform/models.ts";
import { logOffsets } from "../transform/offsets.ts";
import { failedOf, TestResults, testsOf } from "../transform/test-results.ts";
import { Transform } from "../transform/transform.ts";
import { DbtWorker, type CommandResult } from "../transform/worker.ts";
import { openCarrier, type Carrier, type CarrierOptions } from "../runtime/ingest-service.ts";
import { chooseSource, type SourceRequest } from "./choose-source.ts";
import { answersAsJson, formatAnswers } from "./commands/ask.ts";
import { openFound } from "./context.ts";
import { FirstAnswers } from "./first-answers.ts";
import { followLog, type ServerRequest } from "../runtime/live-services.ts";
import { lakeFor } from "./lake-for.ts";
import { style, type Output } from "./output.ts";
import { recoverLake } from "./recover.ts";
import { warnOfSilentRules } from "./silent-rules.ts";
import { Status } from "./status.ts";
import { INTERRUPTED, stopOnSignals } from "./stopping.ts";

export interface StartRequest extends SourceRequest {
  bronzeJob: CarrierOptions["bronzeJob"];
  catalog_port: number;
  /** False where `produce` fills the log elsewhere. */
  is_producing: boolean;
  /** False where `transform` carries bronze on to silver and gold, as an orchestrator calls it. */
  is_transforming: boolean;
  /** False where compaction and expiry are left to `maintain`. */
  is_maintaining: boolean;
  is_until_drained: boolean;
  /** Null for a run that nobody looks at. */
  server: ServerRequest | null;
  /** The page's files. */
  assets(): Promise<Assets>;
}

/**
 * How much the heap may grow before it is collected. Messages live longer than the young generation; left alone, V8 lets what is
 * left of them double the heap before it looks: at 1,000 a second the process swings between 380 and 510 MB, with this it keeps to 430.
 */
const HEAP_GROWING_PERCENT = 30;

/** What has not ended by then, such as an increment of minutes, is cut off: it is as safe as a killed process. */
const STOP_LIMIT_MS = 15_000;

/** Runs a pipeline until it is drained, or until Ctrl-C; throws what ended it otherwise. */
export async function start(request: StartRequest): Promise<void> {
  const { output, data_folder, server } = request;
  // Before anything is made or fetched.
  if (server !== null) checkToken(server.host, server.token);
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const { producers, kind, lake_name } = await chooseSource(request);
  const is_new = !listLakes(data_folder).includes(lake_name);
  const lake = lakeFor(request, { kind, lake_name });
  const claims: { release(): void }[] = [];
  let [is_claimed, is_open] = [false, false];
  try {
    // Who transforms is the tables' one writer.
    if (request.is_transforming) claims.push(claimLake(lake, "start"));
    is_claimed = claims.length > 0;
    if (lake.profile === "cluster" && request.is_producing) claims.push(claimSource(lake, "start"));
    // The server itself starts only when dbt has compiled.
    if (server !== null) await checkPort(server);
    sweepSpill();
    const instruction = process.env["COINLAKE_KILL_AT"];
    const step = instruction ? killAt(instruction) : nobodyListens;
    // Whoever transforms owns the lake.
    if (!is_new && request.is_transforming) await recoverLake(lake, request.pipeline, output);
    const open = await openFound(lake, { catalog_port: request.catalog_port, step, warn: output.warn });
    is_open = true;
    try {
      rememberAsCurrent(data_folder, lake);
      await runIn(open, request.is_producing ? producers : [], request, step);
    } finally {
      await open.close();
    }
  } finally {
    // One that never opened would count as a lake at the next start, which then finds no first start to fall back at.
    if (is_new && !is_open) removeUnopened(lake, claims, is_claimed);
    for (const claim of claims) claim.release();
  }
}

/** A lake that this run made, unless another process has it by now: while this one has it, nobody has put anything into it. */
function removeUnopened({ folder }: Lake, claims: { release(): void }[], is_claimed: boolean): void {
  try {
    const claim = is_claimed ? undefined : claimFolder(folder, "start");
    if (claim === null) return;
    if (claim !== undefined) claims.push(claim);
  } catch {
    // Nobody has it: the folder could not even be claimed, of which the failure tells.
  }
  // Windows removes no file that is open.
  if (process.platform === "win32") for (const claim of claims.splice(0)) claim.release();
  rmSync(folder, { recursive: true, force: true });
}

async function runIn(
  open: OpenLake,
  producers: readonly Producer[],
  request: StartRequest,
  step: typeof nobodyListens,
): Promise<void> {
  const { pipeline, output, is_until_drained } = request;
  const test_results = new TestResults(open.lake.dbt_folder);
  const status = new Status(output, producers, test_results);
  const { project } = pipeline.transform;
  // Who leaves the tables to others needs nothing of Spark's dbt, which would be installed for it.
  const engine = request.is_transforming
    ? await engineOf(open, { clock: systemClock, say: output.say })
    : embeddedEngine(open);
  const worker = new DbtWorker({
    project,
    engine,
    folder: open.lake.dbt_folder,
    onNode: () => step("inside transform"),
  });
  const stopping = stopOnSignals(output, { limit_ms: STOP_LIMIT_MS });
  stopping.signal.addEventListener("abort", () => worker.finish());
  const figures = new PipelineFigures(new Metrics());
  const reported = (report: SourceReport): void => {
    figures.ingestReported(report);
    status.reported(report);
  };
  const carrier = await openCarrier(open, {
    pipeline,
    bronzeJob: request.bronzeJob,
    step,
    report: reported,
    stalled: (error) => status.stalled("ingest", error),
    committed: figures.committed,
  });
  const stopReleasing = keepMemoryReleased((error) =>
    output.warn(`free memory could not be released: ${messageOf(error)}`),
  );
  let first_answers: FirstAnswers | null = null;
  try {
    await open.log.createTopic(pipeline.topic.name, pipeline.topic.partitions);
    await beginAlerts(
      open.lake.folder,
      pipeline,
      systemClock,
      open.log,
      await logOffsets(open.catalog, pipeline.reconciliation.accepted),
    );
    const transform = new Transform({ pipeline, catalog: open.catalog, worker, engine: engine.kind, step });
    announce(open, output);
    await warnOfSilentRules(open, pipeline, output.warn);
    // Parsing the dbt project takes seconds: it happens while the first records come in.
    if (request.is_transforming) worker.start().catch(() => {});
    const answer = () => answerNow(open, request, stopping.signal);
    const answers = new FirstAnswers({ open, request, signal: stopping.signal, built: status.built, answer });
    first_answers = answers;
    await runPipeline({
      pipeline,
      producers,
      log: open.log,
      ingest: carrier,
      transform: request.is_transforming ? transform : null,
      ...(open.cluster === null &&
        request.is_maintaining && { maintenance: maintenanceIn(open, { worker, status, figures, step }) }),
      following: followIn(open, producers, request, {
        prepare: () => prepareIn(open, project, worker, stopping.signal),
        status,
        test_results,
        carrier,
        worker,
        figures,
      }),
      clock: systemClock,
      signal: stopping.signal,
      is_until_drained,
      events: {
        reported: status.reported,
        appended: status.appended,
        stalled: status.stalled,
        caughtUp: (seconds) => {
          figures.incremented(seconds);
          status.succeeded();
          answers.increment(seconds);
        },
        tested: status.tested,
        failed: (error) => {
          figures.retried(error);
          status.failed(error);
        },
      },
    });
    await answers.end();
    status.end();
    if (stopping.signal.aborted) stopped(request);
    else await conclude(open, request, status.tests);
  } finally {
    stopping.dispose();
    status.end();
    await first_answers?.end();
    await worker.close();
    stopReleasing();
    carrier.close();
  }
}

function stopped({ output, is_until_drained }: StartRequest): void {
  output.say("Stopped cleanly. Everything received is on disk; `npm start` continues from here.");
  // A drained lake was asked for, and this is none.
  if (is_until_drained) process.exitCode = INTERRUPTED;
}

/** What maintenance takes beside a pipeline: it may take longer, and nobody is to notice. */
const MAINTENANCE_ENGINE = { memory_limit_mb: 128, threads: 1 };

/** Of a cluster's lake an orchestrator takes care. Commits to what dbt writes wait until no increment is under way. */
function maintenanceIn(
  open: OpenLake,
  {
    worker,
    status,
    figures,
    step,
  }: { worker: DbtWorker; status: Status; figures: PipelineFigures; step: StepListener },
): MaintenanceSchedule {
  const built = new Set<string>(BUILT_LAYERS);
  return new MaintenanceSchedule({
    lake: open.lake,
    catalog: open.catalog,
    clock: systemClock,
    async withMaintainer(work, signal) {
      const store = new MaintenanceStore(open.lake.folder);
      try {
        const exclusively = <T>(table: string, commit: () => Promise<T>): Promise<T> =>
          built.has(table.slice(0, table.indexOf("."))) ? worker.between(commit) : commit();
        return await work(
          embeddedMaintainer({
            open,
            store,
            clock: systemClock,
            signal,
            engine: MAINTENANCE_ENGINE,
            step,
            exclusively,
          }),
        );
      } finally {
        store.close();
      }
    },
    events: {
      maintained: figures.maintained,
      failed: (table, error) => {
        figures.maintenanceFailed();
        status.maintenanceFailed(table, error);
      },
    },
  });
}

/** The live tail is DuckDB's, whatever engine writes the tables: another one's dbt cannot compile for it. */
async function prepareIn(
  { lake, server, s3, cluster }: OpenLake,
  project: string,
  worker: DbtWorker,
  signal: AbortSignal,
): Promise<LiveModels> {
  if (cluster === null) return prepareModels(worker, project, lake.dbt_folder);
  const compiler = new DbtWorker({
    project,
    engine: embeddedEngine({ server, s3 }),
    folder: join(lake.dbt_folder, "live"),
  });
  const finish = (): void => compiler.finish();
  signal.addEventListener("abort", finish, { once: true });
  try {
    return await prepareModels(compiler, project, lake.dbt_folder, { with_seeds: false });
  } finally {
    signal.removeEventListener("abort", finish);
    await compiler.close();
  }
}

function followIn(
  open: OpenLake,
  producers: readonly Producer[],
  { pipeline, server, is_transforming, is_until_drained, assets, output }: StartRequest,
  {
    prepare,
    status,
    test_results,
    carrier,
    worker,
    figures,
  }: {
    prepare(): Promise<LiveModels>;
    status: Status;
    test_results: TestResults;
    carrier: Carrier;
    worker: DbtWorker;
    figures: PipelineFigures;
  },
): Following {
  return followLog({
    open,
    pipeline,
    producers,
    is_transforming,
    is_until_drained,
    prepare,
    server,
    assets,
    stream: () => carrier.state(),
    tests: () => test_results.read(),
    failures: () => status.failures(),
    dbt_pid: () => worker.pid ?? null,
    metrics: figures.metrics,
    report: status.reported,
    failed: status.failed,
    serving: (url) => output.say(`  dashboard        ${style("bold", url)}`),
    onError: (error) => output.warn(`the server failed to answer: ${messageOf(error)}`),
  });
}

/** What a drained run has to show: answers, and proof. Throws TESTS_FAILED. */
async function conclude(
  open: OpenLake,
  { pipeline, output }: StartRequest,
  tests: CommandResult | null,
): Promise<void> {
  const answers = await answersOrNone(open, pipeline);
  if (answers === null)
    output.warn(
      "no record was accepted: `verify` counts rejected rows by reason, and silver's _rejected table holds them.",
    );
  else showAnswers(open.lake, answers, output);
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
    `Drained: all records are in gold, ${tests === null ? 0 : testsOf(tests).length} tests passed. Next: npm ` +
      "run -s coinlake -- verify",
  );
}

/** Null where every record was refused: gold holds all there is, which is nothing. */
async function answersOrNone(open: OpenLake, pipeline: Pipeline): Promise<Answer[] | null> {
  try {
    return await answerAll(open, pipeline);
  } catch (error) {
    if (error instanceof OperatingError && error.code === "LAKE_EMPTY") return null;
    throw error;
  }
}

async function answerNow(open: OpenLake, { pipeline, output }: StartRequest, signal: AbortSignal): Promise<void> {
  try {
    showAnswers(open.lake, await answerAll(open, pipeline, signal), output);
  } catch (error) {
    // Stopped while it was asking: nobody waits for answers any more.
    if (!signal.aborted) output.warn(messageOf(error));
  }
}

async function answerAll(open: OpenLake, pipeline: Pipeline, signal?: AbortSignal): Promise<Answer[]> {
  const session = await QuerySession.open(open);
  try {
    const answers: Answer[] = [];
    for (const question of pipeline.questions)
      answers.push(await ask(session, pipeline, question, { as_of: null, values: {}, ...(signal ? { signal } : {}) }));
    return answers;
  } finally {
    session.close();
  }
}

function showAnswers(lake: Lake, answers: readonly Answer[], output: Output): void {
  output.result(output.is_json ? answersAsJson(lake, answers) : `${formatAnswers(lake, answers)}\n`);
}

function announce(open: OpenLake, output: Output): void {
  const { kind: lake_kind } = open.lake;
  const kind = lake_kind === "live" ? "" : style(["bold", "magenta"], ` ${lake_kind.toUpperCase()}`);
  output.say(`${style("bold", "Coinlake")}${kind}  lake ${open.lake.folder}`);
  output.say(`  Iceberg catalog  ${open.server.url}`);
  output.say(`  in another terminal: npm run -s coinlake -- ask | query "SQL" | verify   (Ctrl-C stops this process)`);
}
