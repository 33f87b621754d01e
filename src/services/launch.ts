import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { S3_VARIABLES } from "../storage/s3/settings.ts";
import { isListenedOn, listenersOn } from "./machine/port.ts";
import { identify, isRunning, isWithin } from "./machine/process.ts";
import type { Service, ServiceContext } from "./service.ts";
import { forgetState, writeState, type ServiceState } from "./state.ts";

/** After a crash a broker reads its logs first; Airflow's first start on a busy machine took more than two minutes. */
const START_TIMEOUT_MS = 300_000;
const RECOVERY_TIMEOUT_MS = 60_000;
/** After this the process is killed, which every service must survive anyway. */
const STOP_TIMEOUT_MS = 60_000;
const PORTS_TIMEOUT_MS = 10_000;
const LOOK_MS = 50;
const LOG_LINES_SHOWN = 15;
const LOGS = ["output.log", "server.log"];
/**
 * The S3 variables of the caller's environment name another S3. A service gets the ones it needs from its definition.
 */
const NO_S3: NodeJS.ProcessEnv = Object.fromEntries(S3_VARIABLES.map((name) => [name, undefined]));

/**
 * Starts the service's process and waits until it is healthy. Throws SERVICE_DIED or SERVICE_NOT_ANSWERING; after an
 * error no process is left.
 */
export async function launch(
  service: Service,
  version: string,
  context: ServiceContext,
  cluster_folder: string,
): Promise<ServiceState> {
  const { program, args, env, user } = service.command(context);
  const output_file = join(context.folder, "output.log");
  // The previous output says why the process died.
  if (existsSync(output_file)) renameSync(output_file, join(context.folder, "output.previous.log"));
  const output = openSync(output_file, "w");
  const child = spawn(program, args, {
    cwd: context.folder,
    detached: true,
    env: { ...process.env, ...NO_S3, ...env },
    stdio: ["ignore", output, output],
    ...user,
  });
  closeSync(output);
  child.unref();
  const identity = await identityOf(service, child);
  const state: ServiceState = {
    ...identity,
    version,
    ports: { ...context.ports },
    started_at: new Date().toISOString(),
  };
  try {
    writeState(cluster_folder, service.name, state);
    await waitUntilHealthy(service, context, state, START_TIMEOUT_MS);
  } catch (error) {
    await stop(service, state, cluster_folder);
    throw error;
  }
  return state;
}

async function identityOf(service: Service, child: ChildProcess) {
  const failure = await new Promise<Error | null>((resolve) => {
    child.once("spawn", () => resolve(null));
    child.once("error", resolve);
  });
  const identity = child.pid === undefined ? null : identify(child.pid);
  if (identity !== null) return identity;
  throw new OperatingError(
    "SERVICE_DIED",
    `${service.title} could not be started: ${failure?.message ?? "it ended at once"}`,
    {
      next_step: `Run \`${child.spawnargs.join(" ")}\` yourself to see why.`,
      cause: failure,
    },
  );
}

/**
 * Waits for a running service, whose dependencies may have just restarted. Throws SERVICE_NOT_ANSWERING and leaves it
 * running.
 */
export async function findAnswering(
  service: Service,
  context: ServiceContext,
  state: ServiceState | null,
): Promise<ServiceState> {
  assert(state !== null, `${service.name} runs and has no state`);
  await waitUntilHealthy(service, context, state, RECOVERY_TIMEOUT_MS);
  return state;
}

async function waitUntilHealthy(
  service: Service,
  context: ServiceContext,
  state: ServiceState,
  timeout_ms: number,
): Promise<void> {
  const give_up_at_ms = performance.now() + timeout_ms;
  for (;;) {
    if (!isRunning(state)) throw died(service, context);
    const reason = await whyUnhealthy(service, context, state);
    if (reason === null) return;
    if (performance.now() > give_up_at_ms)
      throw notAnswering(service, context, state, `within ${timeout_ms / 1000} s: ${reason}`);
    await systemClock.wait(LOOK_MS);
  }
}

/**
 * Null for a healthy service. An answer counts only from the process that was started, because another one may use its
 * ports.
 */
export async function whyUnhealthy(
  service: Service,
  context: ServiceContext,
  { pid, ports }: ServiceState,
): Promise<string | null> {
  for (const [name, number] of Object.entries(ports))
    if (!listenersOn(number).some((listener) => isWithin(listener, pid)))
      return `it does not listen on ${number} (${name})`;
  try {
    return (await service.isHealthy(context)) ? null : "it says that it is not ready";
  } catch (error) {
    return messageOf(error);
  }
}

function died(service: Service, context: ServiceContext): OperatingError {
  return new OperatingError(
    "SERVICE_DIED",
    `${service.title} ended before it answered:\n${lastLines(context.folder)}`,
    {
      next_step:
        `Read its logs in ${context.folder}; where its data are broken beyond use, ` +
        "`coinlake cluster down --native --purge` starts from nothing.",
    },
  );
}

function notAnswering(service: Service, context: ServiceContext, { pid }: ServiceState, how: string): OperatingError {
  return new OperatingError(
    "SERVICE_NOT_ANSWERING",
    `${service.title} (process ${pid}) did not answer ${how}\n${lastLines(context.folder)}`,
    {
      next_step: `Read its logs in ${context.folder}; \`coinlake cluster down --native\`, then \`up\`, restarts it.`,
    },
  );
}

function lastLines(folder: string): string {
  const files = LOGS.map((name) => join(folder, name)).filter((file) => existsSync(file));
  const lines = files.map((file) =>
    readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_LINES_SHOWN).join("\n"),
  );
  return lines.find((text) => text !== "") ?? "It wrote no log.";
}

/** Resolves when the process has ended. After the timeout it is killed, which services survive. */
export async function stop(service: Service, state: ServiceState, cluster_folder: string): Promise<void> {
  send(state, service.stop_signal);
  const kill_at_ms = performance.now() + STOP_TIMEOUT_MS;
  let is_killed = false;
  while (isRunning(state)) {
    if (!is_killed && performance.now() > kill_at_ms) {
      send(state, "SIGKILL");
      is_killed = true;
    }
    await systemClock.wait(LOOK_MS);
  }
  await untilPortsAreFree(state);
  forgetState(cluster_folder, service.name);
}

/**
 * Waits for the ports of a killed process: its threads end one by one, and the last one frees the ports. A port that a
 * living process holds belongs to another server, so waiting does not help.
 */
export async function untilPortsAreFree({ ports }: Pick<ServiceState, "ports">): Promise<void> {
  const give_up_at_ms = performance.now() + PORTS_TIMEOUT_MS;
  const isLeft = (port: number): boolean => isListenedOn(port) && listenersOn(port).length === 0;
  while (Object.values(ports).some(isLeft) && performance.now() < give_up_at_ms) await systemClock.wait(LOOK_MS);
}

function send(state: ServiceState, signal: NodeJS.Signals): void {
  if (!isRunning(state)) return;
  try {
    process.kill(state.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return;
    throw new OperatingError("SERVICE_NOT_OWNED", `Process ${state.pid} cannot be stopped: ${messageOf(error)}`, {
      next_step: "Run this as the user who started the cluster.",
      cause: error,
    });
  }
}
