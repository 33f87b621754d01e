import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { pause, retryDelay_ms } from "../base/retry.ts";
import { readDesired, type Desired } from "./desired.ts";
import { identify, isRunning, type ProcessIdentity } from "./machine/process.ts";
import type { ServiceName } from "./service.ts";
import { SERVICES } from "./registry.ts";
import { readRunning, writeWhole } from "./state.ts";

/**
 * A process that restarts services that were killed or crashed, and streams that Spark lost. It ends with `cluster
 * down`, and when nothing is desired any more.
 */

export interface SupervisorStatus extends ProcessIdentity {
  /** Number of restarts since it started. */
  restarts: number;
  /** Error of the last attempt; null where it succeeded. */
  last_error: string | null;
}

export interface SupervisorOptions {
  folder: string;
  clock: Clock;
  signal: AbortSignal;
  /** Starts these services and those that they need, on the given ports. */
  restart(names: readonly ServiceName[], ports: NodeJS.ProcessEnv): Promise<void>;
  /** Starts the desired streams that do not run. */
  ensureStreams(): Promise<void>;
  say(text: string): void;
}

const LOOK_MS = 1_000;
/** Longer than the interval for processes, because a request to Spark costs more. */
const STREAMS_LOOK_MS = 5_000;
const STOP_TIMEOUT_MS = 10_000;

/** Runs until the signal aborts or no service is desired. */
export async function supervise({
  folder,
  clock,
  signal,
  restart,
  ensureStreams,
  say,
}: SupervisorOptions): Promise<void> {
  let failures = 0;
  let restarts = 0;
  let looked_us = -Infinity;
  const note = (last_error: string | null): void => writeStatus(folder, { ...ownIdentity(), restarts, last_error });
  note(null);
  do {
    const desired = readDesired(folder);
    if (desired?.mode !== "native") return;
    const dead = deadServices(folder, desired);
    try {
      if (dead.length > 0) {
        say(`${dead.join(", ")} died and is started again`);
        await restart(dead, portVariables(desired));
        restarts += dead.length;
        say(`${dead.join(", ")} runs again`);
        // A restarted Spark has lost its streams.
        looked_us = -Infinity;
      }
      if (clock.now_us() - looked_us >= STREAMS_LOOK_MS * 1000) {
        await ensureStreams();
        looked_us = clock.now_us();
      }
      if (failures > 0 || dead.length > 0) note(null);
      failures = 0;
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      // Another command works on the cluster: that is no failure.
      if (error.code !== "CLUSTER_BUSY") failures += 1;
      say(`${error.code}: ${messageOf(error)}`);
      note(error.message);
    }
  } while (await pause(clock, failures === 0 ? LOOK_MS : retryDelay_ms(failures), signal));
}

export function deadServices(folder: string, desired: Desired): ServiceName[] {
  return SERVICES.map(({ name }) => name).filter(
    (name) => desired.parts[name] !== undefined && readRunning(folder, name) === null,
  );
}

/** The variables that make `choosePorts` give each service its previous ports. */
function portVariables({ parts }: Desired): NodeJS.ProcessEnv {
  const ports = Object.assign({}, ...Object.values(parts)) as Record<string, number>;
  const known = SERVICES.flatMap((service) => service.ports).filter(({ name }) => ports[name] !== undefined);
  return Object.fromEntries(known.map(({ name, variable }) => [variable, String(ports[name])]));
}

function ownIdentity(): ProcessIdentity {
  return identify(process.pid) ?? { pid: process.pid, started_at_ticks: 0 };
}

function statusFile(folder: string): string {
  return join(folder, "supervisor.json");
}

function writeStatus(folder: string, status: SupervisorStatus): void {
  writeWhole(statusFile(folder), `${JSON.stringify(status, null, 2)}\n`);
}

/** Null where none runs. */
export function runningSupervisor(folder: string): SupervisorStatus | null {
  const file = statusFile(folder);
  if (!existsSync(file)) return null;
  const status = JSON.parse(readFileSync(file, "utf8")) as SupervisorStatus;
  return isRunning(status) ? status : null;
}

/** Starts a supervisor unless one runs. It outlives this process and writes `supervisor.log`. */
export function startSupervisor(folder: string, command: readonly string[]): void {
  if (runningSupervisor(folder) !== null) return;
  const [program = "", ...args] = command;
  const log = openSync(join(folder, "supervisor.log"), "a", 0o600);
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  child.unref();
  const identity = child.pid === undefined ? null : identify(child.pid);
  // Recorded at once, so that an immediate `cluster down` stops it too.
  if (identity !== null) writeStatus(folder, { ...identity, restarts: 0, last_error: null });
}

/** Stops the supervisor and waits for its end. Call it before services are stopped, or it would restart them. */
export async function stopSupervisor(folder: string, clock: Clock): Promise<void> {
  const running = runningSupervisor(folder);
  if (running !== null) {
    process.kill(running.pid, "SIGTERM");
    const kill_at_us = clock.now_us() + STOP_TIMEOUT_MS * 1000;
    let is_killed = false;
    while (isRunning(running)) {
      if (!is_killed && clock.now_us() > kill_at_us) {
        process.kill(running.pid, "SIGKILL");
        is_killed = true;
      }
      await clock.wait(50);
    }
  }
  rmSync(statusFile(folder), { force: true });
}
