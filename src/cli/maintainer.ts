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
  /** This process plans dry runs in both profiles, because Spark's procedures have none. */
  is_dry_run: boolean;
}

const CLAIM_RETRY_MS = 250;

type Work = (maintainer: Maintainer, signal: AbortSignal) => Promise<void>;

/** Opens the lake's maintainer and always closes it; sets the exit code after Ctrl-C. */
export async function withMaintainer(request: MaintenanceRequest, work: Work): Promise<void> {
  const { lake, output } = request;
  const stopping = stopOnSignals(output);
  const store = new MaintenanceStore(lake.folder);
  let claim: Claim | null = null;
  try {
    claim = request.is_dry_run ? null : await waitForClaim(request, stopping.signal);
    if (stopping.signal.aborted) return;
    if (lake.profile === "cluster" && !request.is_dry_run) await inSpark(request, store, work, stopping.signal);
    else await inThisProcess(request, store, work, stopping.signal);
  } finally {
    stopping.dispose();
    store.close();
    claim?.release();
    if (stopping.signal.aborted) {
      output.say("Stopped: completed commits remain; no change was left half done");
      process.exitCode = INTERRUPTED;
    }
  }
}

type Claim = ReturnType<typeof claimMaintenance>;

/** Waits for another maintenance run, which takes seconds, to finish. Null after Ctrl-C. */
async function waitForClaim({ lake, output }: LakeRequest, signal: AbortSignal): Promise<Claim | null> {
  for (let is_announced = false; !signal.aborted; is_announced = true) {
    try {
      return claimMaintenance(lake, "maintain");
    } catch (error) {
      if (!(error instanceof OperatingError) || error.code !== "MAINTENANCE_RUNNING") throw error;
      if (!is_announced) output.say(`${error.message}; waiting for it to finish ...`);
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

/** Runs checks that require Spark. Throws MAINTENANCE_NEEDS_CLUSTER, CLUSTER_NOT_FOUND. */
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

/** Connects to Spark named by the environment, else by the environment file of the data folder's cluster. */
async function withSession(
  { lake, data_folder }: LakeRequest,
  signal: AbortSignal,
  work: (session: SparkSession) => Promise<void>,
): Promise<void> {
  const { SPARK_REMOTE: remote } = environmentIn(data_folder);
  if (!remote) throw clusterNotFound(lake.name);
  // Loaded only here: Spark's protocol takes 60 MB of memory.
  const { SparkSession: Session } = await import("../spark/session.ts");
  const session: SparkSession = new Session({ remote });
  // The session is gone if the server stopped; then the earlier error is the one to report.
  const release = (): Promise<void> => session.release().catch(() => session.disconnect());
  // Releasing the session stops its Spark jobs, which would otherwise run beside those of the next session.
  const stopListening = onAbort(signal, () => void release());
  try {
    await work(session);
  } catch (error) {
    // Errors of a session released by Ctrl-C are expected.
    if (!signal.aborted) throw error;
  } finally {
    stopListening();
    if (!signal.aborted) await release();
  }
}

function clusterNotFound(lake_name: string): OperatingError {
  return new OperatingError(
    "CLUSTER_NOT_FOUND",
    `Spark maintains the lake "${lake_name}", but no Spark was found: SPARK_REMOTE is not set`,
    {
      next_step: "Start it with `npm run -s coinlake -- cluster up --native`, or set SPARK_REMOTE to its address.",
    },
  );
}

function notInCluster(lake_name: string): OperatingError {
  return new OperatingError(
    "MAINTENANCE_NEEDS_CLUSTER",
    `The lake "${lake_name}" is embedded; this check applies to lakes of a cluster`,
    {
      next_step: "Run `npm run -s coinlake -- verify`, which checks bronze against the log.",
    },
  );
}
