import { onAbort } from "../base/abortable.ts";
import { beginAlerts } from "../alert/open.ts";
import { systemClock } from "../base/clock.ts";
import { messageOf, type OperatingError } from "../base/errors.ts";
import type { StepListener } from "../base/failpoints.ts";
import type { Turns } from "../base/turns.ts";
import type { OpenLake } from "../lake/open.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Producer } from "../producer/producer.ts";
import type { Assets } from "../serve/assets.ts";
import type { Metrics } from "../serve/metrics.ts";
import { PipelineFigures } from "../serve/pipeline-figures.ts";
import type { Server } from "../serve/server.ts";
import { embeddedEngine, engineOf } from "../transform/engine.ts";
import { logOffsets } from "../transform/offsets.ts";
import { TestResults } from "../transform/test-results.ts";
import { Transform } from "../transform/transform.ts";
import { DbtWorker, type CommandResult } from "../transform/worker.ts";
import { BuildTracker } from "./build-tracker.ts";
import { ActiveFailures } from "./failures.ts";
import { openIngestService, type IngestService, type IngestServiceOptions } from "./ingest-service.ts";
import { compileLiveModels } from "./live-models.ts";
import { createLiveServices } from "./live-services.ts";
import { createMaintenanceService } from "./maintenance-service.ts";
import type { PipelineReporter } from "./reporter.ts";
import { runPipeline, type LiveServices, type RunEvents } from "./run.ts";

export interface PipelineOptions {
  open: OpenLake;
  pipeline: Pipeline;
  /** Empty where `produce` fills the log in another process. */
  producers: readonly Producer[];
  bronzeJob: IngestServiceOptions["bronzeJob"];
  /** False where an external scheduler runs the transforms. */
  is_transforming: boolean;
  /** False where `maintain` compacts and expires. */
  is_maintaining: boolean;
  is_until_drained: boolean;
  /** The process's server; null for a run without one. */
  server: Server | null;
  metrics: Metrics;
  /** Turns of the process's pipelines to maintain their tables. */
  maintenance_turns: Turns;
  /** The dashboard's files. */
  assets(): Promise<Assets>;
  /** Aborts for a clean stop. */
  signal: AbortSignal;
  step: StepListener;
  reporter: PipelineReporter;
}

/** A pipeline whose services are built and not running yet. */
export interface BuiltPipeline {
  /** Runs until the log is drained or the signal aborts. Returns the last test results, null where no test ran. */
  run(): Promise<CommandResult | null>;
  /** Call it after `run` has ended, and also when `run` was never called. */
  close(): Promise<void>;
}

interface Services extends PipelineOptions {
  worker: DbtWorker;
  transform: Transform;
  ingest: IngestService;
  figures: PipelineFigures;
  failures: ActiveFailures;
  test_results: TestResults;
}

/** Opens the services of a pipeline and prepares its topic and alerts. */
export async function buildPipeline(options: PipelineOptions): Promise<BuiltPipeline> {
  const { open, pipeline, is_transforming, signal, step, reporter } = options;
  // Without transforms nothing needs Spark's dbt, which takes minutes to install.
  const engine = is_transforming
    ? await engineOf(open, { clock: systemClock, say: (message) => reporter.preparing(message) })
    : embeddedEngine(open);
  const worker = new DbtWorker({
    project: pipeline.transform.project,
    engine,
    folder: open.lake.dbt_folder,
    onNode: () => step("inside transform"),
  });
  onAbort(signal, () => worker.finish());
  const figures = new PipelineFigures(options.metrics);
  const failures = new ActiveFailures();
  const ingest = await openIngestService(open, {
    pipeline,
    bronzeJob: options.bronzeJob,
    step,
    report: (report) => {
      figures.ingestReported(report);
      reporter.reported(report);
    },
    stalled: (error) => {
      failures.set("ingest", error);
      reporter.stalled("ingest", error);
    },
    committed: figures.committed,
  });
  const close = async (): Promise<void> => {
    await worker.close();
    ingest.close();
  };
  try {
    await open.log.createTopic(pipeline.topic.name, pipeline.topic.partitions);
    const consumed = await logOffsets(open.catalog, pipeline.reconciliation.accepted);
    await beginAlerts(open.lake.folder, pipeline, systemClock, open.log, consumed);
  } catch (error) {
    await close();
    throw error;
  }
  const transform = new Transform({ pipeline, catalog: open.catalog, worker, engine: engine.kind, step });
  const test_results = new TestResults(open.lake.dbt_folder);
  const services = { ...options, worker, transform, ingest, figures, failures, test_results };
  return { run: () => runServices(services), close };
}

async function runServices(services: Services): Promise<CommandResult | null> {
  const { open, pipeline, producers, is_transforming, signal, worker, reporter } = services;
  // dbt parses its project for seconds: it does so while the first records arrive.
  if (is_transforming) worker.start().catch(() => {});
  const builds = new BuildTracker({ open, pipeline, is_transforming, signal, reporter });
  const tests: { last: CommandResult | null } = { last: null };
  // A scheduler maintains the tables of a cluster.
  const is_maintaining = services.is_maintaining && open.cluster === null;
  try {
    await builds.began();
    await runPipeline({
      pipeline,
      producers,
      log: open.log,
      lake_folder: open.lake.folder,
      ingest: services.ingest,
      transform: is_transforming ? services.transform : null,
      ...(is_maintaining && { maintenance: maintenanceOf(services) }),
      live_services: liveServicesOf(services),
      clock: systemClock,
      signal,
      is_until_drained: services.is_until_drained,
      events: eventsOf(services, builds, (result) => (tests.last = result)),
    });
    return tests.last;
  } finally {
    await builds.end();
  }
}

function maintenanceOf({
  open,
  worker,
  step,
  figures,
  reporter,
  maintenance_turns,
}: Services): ReturnType<typeof createMaintenanceService> {
  return createMaintenanceService({
    open,
    worker,
    step,
    turns: maintenance_turns,
    maintained: figures.maintained,
    failed: (table, error) => {
      figures.maintenanceFailed();
      reporter.maintenanceFailed(table, error);
    },
  });
}

function liveServicesOf(services: Services): LiveServices {
  const { open, pipeline, worker, ingest, figures, failures, test_results, reporter } = services;
  const { producers, is_transforming, is_until_drained, server, assets, signal } = services;
  let is_announced = server === null;
  return createLiveServices({
    open,
    pipeline,
    producers,
    is_transforming,
    is_until_drained,
    compileModels() {
      // Once: a failed compilation is tried again.
      if (!is_announced) reporter.preparing("dbt compiles the live views; the dashboard opens after that");
      is_announced = true;
      return compileLiveModels(open, pipeline.transform.project, worker, signal);
    },
    server,
    assets,
    stream: () => ingest.state(),
    tests: () => test_results.read(),
    failures: () => failures.list(),
    dbt_pid: () => worker.pid ?? null,
    metrics: figures.metrics,
    report: (report) => reporter.reported(report),
    failed: (part, error) => reportFailure(services, part, error),
    recovered: (part) => reportRecovery(services, part),
    serving: (url) => reporter.serving(url),
    onError: (error) => reporter.warned(`the server failed to answer: ${messageOf(error)}`),
  });
}

function reportFailure({ failures, reporter }: Services, part: string, error: OperatingError): void {
  failures.set(part, error);
  reporter.failed(error);
}

function reportRecovery({ failures, reporter }: Services, part: string): void {
  failures.set(part, null);
  reporter.recovered();
}

function eventsOf(services: Services, builds: BuildTracker, tested: (result: CommandResult) => void): RunEvents {
  const { figures, failures, test_results, reporter } = services;
  return {
    reported: (report) => reporter.reported(report),
    appended: (records) => reporter.appended(records),
    stalled: (name, error) => {
      failures.set(name, error);
      reporter.stalled(name, error);
    },
    caughtUp: (seconds) => {
      figures.incremented(seconds);
      reportRecovery(services, "increments");
      builds.increment(seconds);
    },
    tested: (result) => {
      tested(result);
      test_results.record(result, systemClock.now_us());
      reporter.tested(result);
    },
    failed: (error) => {
      figures.retried(error);
      reportFailure(services, "increments", error);
    },
  };
}
