import { setFlagsFromString } from "node:v8";
import { beginAlerts } from "../alert/engine.ts";
import { systemClock } from "../clock.ts";
import type { StreamJob } from "../engine/cluster/spark/job.ts";
import type { Environment, OpenLake } from "../engine/open.ts";
import { openParquetWriter } from "../engine/embedded/parquet.ts";
import { QuerySession } from "../engine/embedded/session.ts";
import { sweepSpill } from "../engine/embedded/spill.ts";
import { OperatingError, messageOf } from "../errors.ts";
import { createIngest, type Ingest, type IngestOptions } from "../ingest/ingest.ts";
import { claimLake } from "../lake/ownership.ts";
import { openOrCreateLake, rememberAsCurrent, type Lake, type Profile } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { ask, type Answer } from "../query/ask.ts";
import { runPipeline, type Following } from "../schedule/run.ts";
import type { Assets } from "../serve/assets.ts";
import type { Stream } from "../serve/schemas/status.ts";
import { checkToken } from "../serve/guard/token.ts";
import type { Producer } from "../source/producer.ts";
import { objectOfLocation } from "../storage/s3/location.ts";
import { killAt, nobodyListens } from "../steps.ts";
import { logOffsets } from "../transform/offsets.ts";
import { Transform } from "../transform/transform.ts";
import { DbtWorker, type CommandResult } from "../transform/worker.ts";
import { chooseSource } from "./choose-source.ts";
import { answersAsJson, formatAnswers } from "./commands/ask.ts";
import { environmentIn, openFound } from "./context.ts";
import { followLog, type ServerRequest } from "./following.ts";
import { style, type Output } from "./output.ts";
import { Status } from "./status.ts";

export interface StartRequest {
  pipeline: Pipeline;
  data_folder: string;
  profile: Profile;
  /** As typed: a location in S3; null for the profile's default. */
  warehouse: string | null;
  /** Carries the pipeline's log to bronze in a cluster. */
  bronzeJob(pipeline: Pipeline): StreamJob;
  /** As typed: `name` or `name:argument`; null for the pipeline's default. */
  source: string | null;
  catalog_port: number;
  speed: number | "max" | null;
  is_until_drained: boolean;
  /** Null for a run that nobody looks at. */
  server: ServerRequest | null;
  /** The page's files. */
  assets(): Promise<Assets>;
  output: Output;
}

/** Exit code of what was told to end before it had ended by itself, as shells have it for Ctrl-C. */
const INTERRUPTED = 130;

/**
 * How much the heap may grow before it is collected. Messages live longer than the young generation; left alone, V8 lets what is
 * left of them double the heap before it looks: at 1,000 a second the process swings between 380 and 510 MB, with this it keeps to 430.
 */
const HEAP_GROWING_PERCENT = 30;

/** Runs a pipeline until it is drained, or until Ctrl-C; throws what ended it otherwise. */
export async function start(request: StartRequest): Promise<void> {
  const { pipeline, output, data_folder, server } = request;
  // Before anything is made or fetched: the server itself starts only when dbt has compiled.
  if (server !== null) checkToken(server.host, server.token);
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const { producers, kind, lake_name } = await chooseSource(request);
  const env = environmentIn(data_folder);
  const lake = openOrCreateLake(data_folder, { name: lake_name, kind, pipeline: pipeline.name, profile: request.profile, warehouse: warehouseOf(request, env) });
  const claim = claimLake(lake, "start");
  try {
    sweepSpill();
    const instruction = process.env["COINLAKE_KILL_AT"];
    const step = instruction ? killAt(instruction) : nobodyListens;
    const open = await openFound(lake, { catalog_port: request.catalog_port, step, warn: output.warn });
    try {
      rememberAsCurrent(data_folder, lake);
      await runIn(open, producers, request, step);
    } finally {
      await open.close();
    }
  } finally {
    claim.release();
  }
}

/** In S3, where a cluster's engines all reach it, or where this was asked for; null for the lake's own folder. */
function warehouseOf({ profile, warehouse }: StartRequest, env: Environment): string | null {
  const location = warehouse ?? (profile === "cluster" ? (env["COINLAKE_WAREHOUSE"] ?? null) : null);
  if (location !== null) objectOfLocation(location);
  else if (profile === "cluster") throw warehouseUnknown();
  return location?.replace(/\/+$/, "") ?? null;
}

function warehouseUnknown(): OperatingError {
  return new OperatingError("CLUSTER_NOT_FOUND", "Nothing says where the cluster is: neither COINLAKE_WAREHOUSE and its like are set, nor does one run in the data folder.", {
    next_step: "Start one with `npm run -s coinlake -- cluster up --native`, or set the variables to where it runs.",
  });
}

async function runIn(open: OpenLake, producers: readonly Producer[], request: StartRequest, step: typeof nobodyListens): Promise<void> {
  const { pipeline, output, is_until_drained } = request;
  const status = new Status(output, producers);
  const worker = new DbtWorker({
    project: pipeline.transform.project,
    catalog_url: open.server.url,
    folder: open.lake.dbt_folder,
    s3: open.s3,
    onNode: () => step("inside transform"),
  });
  const stopping = stopOnSignals(output);
  stopping.signal.addEventListener("abort", () => worker.finish());
  const carrier = await carrierOf(open, request, step, status);
  let answering: Promise<void> | null = null;
  try {
    await open.log.createTopic(pipeline.topic.name, pipeline.topic.partitions);
    await beginAlerts(open.lake.folder, pipeline, systemClock, open.log, await logOffsets(open.catalog, pipeline.books.accepted));
    const transform = new Transform({ pipeline, catalog: open.catalog, worker, step });
    announce(open, output);
    // Parsing the dbt project takes seconds: it happens while the first records come in.
    worker.start().catch(() => {});
    const answerNow = () =>
      answerAll(open, pipeline, stopping.signal).then(
        (found) => showAnswers(open.lake, found, output),
        // Told to stop while it was asking, nobody waits for answers any more.
        (error: unknown) => void (stopping.signal.aborted || output.warn(messageOf(error))),
      );
    // A lake that was here before can answer before anything new has come.
    if (!is_until_drained && Object.keys(await logOffsets(open.catalog, pipeline.books.accepted)).length > 0) answering = answerNow();
    await runPipeline({
      pipeline,
      producers,
      log: open.log,
      ingest: carrier,
      transform,
      following: followIn(open, producers, request, { worker, status, carrier }),
      clock: systemClock,
      signal: stopping.signal,
      is_until_drained,
      events: {
        reported: status.reported,
        appended: status.appended,
        caughtUp: (seconds) => {
          status.caughtUp(seconds);
          if (is_until_drained || stopping.signal.aborted) return;
          answering ??= answerNow();
        },
        tested: status.tested,
        failed: status.failed,
      },
    });
    await answering;
    status.end();
    if (stopping.signal.aborted) {
      output.say("Stopped cleanly. Everything received is on disk; `npm start` goes on from here.");
      // Whoever asked for a drained lake did not get one.
      if (is_until_drained) process.exitCode = INTERRUPTED;
    } else await conclude(open, request, status.tests?.result ?? null);
  } finally {
    stopping.dispose();
    status.end();
    await answering;
    await worker.close();
    carrier.close();
  }
}

/** What brings the log to bronze: this process itself, or a stream in the cluster that goes on without it. */
interface Carrier extends Pick<Ingest, "run" | "drain"> {
  /** Of the stream; null for this process itself. */
  state(): Stream | null;
  close(): void;
}

async function carrierOf(open: OpenLake, { pipeline, bronzeJob }: StartRequest, step: typeof nobodyListens, status: Status): Promise<Carrier> {
  if (open.cluster !== null) {
    const { StreamIngest } = await import("../engine/cluster/stream-ingest.ts");
    return new StreamIngest({ open: { catalog: open.catalog, cluster: open.cluster }, pipeline, job: bronzeJob(pipeline), clock: systemClock, report: status.reported });
  }
  const records = await openParquetWriter(open);
  const ingest = ingestInto(open, pipeline, { records, step, report: status.reported });
  return { run: (signal) => ingest.run(signal), drain: () => ingest.drain(), state: () => null, close: () => records.close() };
}

function followIn(
  open: OpenLake,
  producers: readonly Producer[],
  { pipeline, server, assets, output }: StartRequest,
  { worker, status, carrier }: { worker: DbtWorker; status: Status; carrier: Carrier },
): Following {
  return followLog({
    open,
    pipeline,
    producers,
    worker,
    server,
    assets,
    stream: () => carrier.state(),
    tests: () => status.tests,
    failures: () => status.failures(),
    report: status.reported,
    failed: status.failed,
    serving: (url) => output.say(`  the page         ${style("bold", url)}`),
    onError: (error) => output.warn(`the server failed to answer: ${messageOf(error)}`),
  });
}

function ingestInto(open: OpenLake, pipeline: Pipeline, own: Pick<IngestOptions, "records" | "step" | "report">): Ingest {
  const [layer = "", name = ""] = pipeline.bronze.table.split(".");
  return createIngest({
    ...own,
    log: open.log,
    catalog: open.catalog,
    storage: open.storage,
    table: { namespace: [layer], name },
    topic: pipeline.topic.name,
    clock: systemClock,
    limits: { ...pipeline.bronze, retention_ms: pipeline.topic.retention_ms },
  });
}

/** What a drained run has to show: answers, and proof. Throws TESTS_FAILED. */
async function conclude(open: OpenLake, { pipeline, output }: StartRequest, tests: CommandResult | null): Promise<void> {
  const answers = await answersOrNone(open, pipeline);
  if (answers === null) output.warn("not one record was accepted: `verify` counts the refused by reason, and the quarantine table has each of them.");
  else showAnswers(open.lake, answers, output);
  const failed = (tests?.nodes ?? []).filter(({ status }) => status === "fail" || status === "error");
  if (tests?.is_success === false || failed.length > 0) {
    throw new OperatingError("TESTS_FAILED", `${failed.length} tests failed: ${failed.map(({ name }) => name).join(", ")}.`, {
      next_step: "Run `npm run -s coinlake -- dbt test` to see each with its rows, and `verify` for the books.",
    });
  }
  output.say(`Drained: gold holds everything, ${tests?.nodes.length ?? 0} tests passed. Next: npm run -s coinlake -- verify`);
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

async function answerAll(open: OpenLake, pipeline: Pipeline, signal?: AbortSignal): Promise<Answer[]> {
  const session = await QuerySession.open(open);
  try {
    const answers: Answer[] = [];
    for (const question of pipeline.questions) answers.push(await ask(session, pipeline, question, { as_of: null, values: {}, ...(signal ? { signal } : {}) }));
    return answers;
  } finally {
    session.close();
  }
}

function showAnswers(lake: Lake, answers: readonly Answer[], output: Output): void {
  output.result(output.is_json ? answersAsJson(lake, answers) : `${formatAnswers(lake, answers, false)}\n`);
}

function announce(open: OpenLake, output: Output): void {
  const { kind: lake_kind } = open.lake;
  const kind = lake_kind === "live" ? "" : style(["bold", "magenta"], ` ${lake_kind.toUpperCase()}`);
  output.say(`${style("bold", "Coinlake")}${kind}  lake ${open.lake.folder}`);
  output.say(`  Iceberg catalog  ${open.server.url}`);
  output.say(`  in another terminal: npm run -s coinlake -- ask | query "SQL" | verify   (Ctrl-C stops this one)`);
}

/** The first Ctrl-C asks for a clean stop, the second ends the process at once. */
function stopOnSignals(output: Output): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    output.say("\nStopping: finishing what is under way. Ctrl-C again ends at once.");
    controller.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    signal: controller.signal,
    dispose() {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    },
  };
}
