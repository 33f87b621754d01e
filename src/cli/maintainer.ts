import { onAbort } from "../base/abortable.ts";
import { systemClock } from "../base/clock.ts";
import type { SparkSession } from "../spark/session.ts";
import { OperatingError } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import { embeddedMaintainer } from "../maintain/embedded.ts";
import type { Maintainer } from "../maintain/maintainer.ts";
import { claimMaintenance } from "../maintain/run.ts";
import { sparkMaintainer } from "../maintain/spark/maintainer.ts";
import { MaintenanceStore } from "../maintain/store.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { pause } from "../base/retry.ts";
import { crashAt, noop } from "../base/failpoints.ts";
import { environmentIn, openLakeFromEnvironment } from "./context.ts";
import type { Output } from "./output.ts";
import { INTERRUPTED, stopOnSignals } from "./stopping.ts";

export interface LakeRequest {
  lake: Lake;
  pipeline: Pipeline;
  data_folder: string;
  output: Output;
}

export interface MaintenanceRequest extends LakeRequest {
  /** This process plans it in both profiles: Spark's procedures have no dry run. */
  is_dry_run: boolean;
}

const CLAIM_RETRY_MS = 250;

type Work = (maintainer: Maintainer, signal: AbortSignal) => Promise<void>;

/** Opens what maintains the lake, and always closes it; after Ctrl-C the exit code says so. */
export async function withMaintainer(request: MaintenanceRequest, work: Work): Promise<void> {
  const { lake, output } = request;
  const stopping = stopOnSignals(output);
  const store = new MaintenanceStore(lake.folder);
  let claim: Claim | null = null;
  try {
    claim = request.is_dry_run ? null : await claimInTurn(request, stopping.signal);
    if (stopping.signal.aborted) return;
    if (lake.profile === "cluster" && !request.is_dry_run) await inSpark(request, store, work, stopping.signal);
    else await inThisProcess(request, store, work, stopping.signal);
  } finally {
    stopping.dispose();
    store.close();
    claim?.release();
    if (stopping.signal.aborted) {
      output.say("Stopped: what was committed stays, and nothing is half done.");
      process.exitCode = INTERRUPTED;
    }
  }
}

type Claim = ReturnType<typeof claimMaintenance>;

/** A run beside a pipeline takes seconds, and is waited for. Null after Ctrl-C. */
async function claimInTurn({ lake, output }: LakeRequest, signal: AbortSignal): Promise<Claim | null> {
  for (let is_told = false; !signal.aborted; is_told = true) {
    try {
      return claimMaintenance(lake, "maintain");
    } catch (error) {
      if (!(error instanceof OperatingError) || error.code !== "MAINTENANCE_RUNNING") throw error;
      if (!is_told) output.say(`${error.message}; waiting for it to finish ...`);
    }
    await pause(systemClock, CLAIM_RETRY_MS, signal);
  }
  return null;
}

async function inThisProcess(
  { lake, output }: MaintenanceRequest,
  store: MaintenanceStore,
  work: Work,
  signal: AbortSignal,
): Promise<void> {
  const instruction = process.env["COINLAKE_KILL_AT"];
  const step = instruction ? crashAt(instruction) : noop;
  const open = await openLakeFromEnvironment(lake, { warn: output.warn, step });
  try {
    await work(embeddedMaintainer({ open, store, clock: systemClock, signal, step }), signal);
  } finally {
    await open.close();
  }
}

async function inSpark(
  request: MaintenanceRequest,
  store: MaintenanceStore,
  work: Work,
  signal: AbortSignal,
): Promise<void> {
  await withSession(request, signal, (session) =>
    work(sparkMaintainer({ ...request, session, store, clock: systemClock }), signal),
  );
}

/** For what only Spark can look at. Throws MAINTENANCE_NEEDS_CLUSTER, CLUSTER_NOT_FOUND. */
export async function withSpark(
  request: LakeRequest,
  work: (session: SparkSession, request: LakeRequest) => Promise<void>,
): Promise<void> {
  if (request.lake.profile !== "cluster") throw notInCluster(request.lake.name);
  const stopping = stopOnSignals(request.output);
  try {
    await withSession(request, stopping.signal, (session) => work(session, request));
  } finally {
    stopping.dispose();
  }
  if (stopping.signal.aborted) process.exitCode = INTERRUPTED;
}

/** Finds Spark by the environment, else by what the cluster of the data folder wrote down. */
async function withSession(
  { lake, data_folder }: LakeRequest,
  signal: AbortSignal,
  work: (session: SparkSession) => Promise<void>,
): Promise<void> {
  const { SPARK_REMOTE: remote } = environmentIn(data_folder);
  if (!remote) throw clusterNotFound(lake.name);
  // Spark's protocol takes 60 MB, which no other command is to pay.
  const { SparkSession: Session } = await import("../spark/session.ts");
  const session: SparkSession = new Session({ remote });
  // A server that is gone has no session any more; what went wrong before that is the error to show.
  const release = (): Promise<void> => session.release().catch(() => session.disconnect());
  // With its session Spark's work ends, which would go on beside that of the next one.
  const stopListening = onAbort(signal, () => void release());
  try {
    await work(session);
  } catch (error) {
    // What a session that was released for a stop says is no failure.
    if (!signal.aborted) throw error;
  } finally {
    stopListening();
    if (!signal.aborted) await release();
  }
}

function clusterNotFound(lake_name: string): OperatingError {
  return new OperatingError(
    "CLUSTER_NOT_FOUND",
    `The tables of the lake "${lake_name}" are maintained by Spark, and nothing says where that is`,
    {
      next_step: "Start it with `npm run -s coinlake -- cluster up --native`, or say in SPARK_REMOTE where it runs.",
    },
  );
}

function notInCluster(lake_name: string): OperatingError {
  return new OperatingError(
    "MAINTENANCE_NEEDS_CLUSTER",
    `The lake "${lake_name}" is an embedded one, and this check is for lakes of a cluster`,
    {
      next_step: "Run `npm run -s coinlake -- verify`, which checks bronze against the log.",
    },
  );
}
