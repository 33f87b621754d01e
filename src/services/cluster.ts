import { existsSync, rmSync } from "node:fs";
import { OperatingError, messageOf } from "../base/errors.ts";
import { cacheFolder, type Cache } from "./fetch/cache.ts";
import { findAnswering, launch, stop, untilPortsAreFree } from "./launch.ts";
import { hasProc } from "./machine/process.ts";
import type { Fetched, Service, ServiceName, ServiceContext } from "./service.ts";
import { SERVICES, withNeeds } from "./registry.ts";
import { choosePorts, checkNotTaken, type PortChoice } from "./ports.ts";
import {
  claimCluster,
  isCluster,
  openOrCreateCluster,
  serviceFolder,
  readRunning,
  readSecrets,
  readState,
  writeEnvironment,
  type ServiceState,
} from "./state.ts";
import { makeFolder } from "../base/folder.ts";

type Say = (text: string) => void;

export interface StartOptions {
  /** The cluster's folder, created where it does not exist. */
  folder: string;
  ports: PortChoice;
  /** Cache of fetched files; by default the user's, without progress output. */
  cache?: Cache;
  say?: Say;
}

export interface RunningCluster {
  folder: string;
  /** Port numbers by the port's name. */
  ports: Readonly<Record<string, number>>;
  services: ReadonlyMap<ServiceName, ServiceState>;
  /** Environment variables for clients: addresses and credentials. */
  environment: Readonly<Record<string, string>>;
  /** Stops these services in reverse order. Their data stay. */
  stop(): Promise<void>;
}

const silent = (): Cache => ({ folder: cacheFolder(), say() {}, progress: () => ({ update() {}, end() {} }) });

/**
 * Starts the named services and those they need, unless they run already. Resolves when each is healthy. Where one
 * fails, the services that this call started are stopped again. Ports are checked before any download, and every
 * download ends before the first start.
 */
export async function startServices(names: readonly ServiceName[], options: StartOptions): Promise<RunningCluster> {
  checkHasProc();
  const { folder, cache = silent(), say = () => {} } = options;
  openOrCreateCluster(folder);
  const claim = claimCluster(folder, "cluster up");
  try {
    const services = withNeeds(names);
    const ports = await choosePorts(folder, services, options.ports);
    const absent = services.filter(({ name }) => readRunning(folder, name) === null);
    // A service that died may still hold its ports for a moment.
    for (const { name } of absent) await untilPortsAreFree({ ports: readState(folder, name)?.ports ?? {} });
    for (const service of absent) checkNotTaken(service, ports.get(service.name) ?? {});
    const fetched = await fetchAll(absent, cache);
    const running = await startAll(services, fetched, ports, folder, say);
    tellClients(folder);
    return {
      ...running,
      folder,
      stop: async () =>
        void (await stopServices(
          folder,
          services.map(({ name }) => name),
        )),
    };
  } finally {
    claim.release();
  }
}

/** Downloads the named services and those they need, unless the cache has them. Returns folder and version of each. */
export async function fetchServices(
  names: readonly ServiceName[],
  cache: Cache,
): Promise<ReadonlyMap<ServiceName, Fetched>> {
  checkHasProc();
  return await fetchAll(withNeeds(names), cache);
}

async function fetchAll(services: readonly Service[], cache: Cache): Promise<Map<ServiceName, Fetched>> {
  const fetched = new Map<ServiceName, Fetched>();
  for (const service of services) fetched.set(service.name, await service.fetch(cache));
  return fetched;
}

/**
 * Starts each fetched service as soon as those it needs are healthy, and waits for those that run already. After a
 * failure no other service starts; starts in progress are awaited, so that each of them can be stopped.
 */
async function startAll(
  services: readonly Service[],
  fetched: ReadonlyMap<ServiceName, Fetched>,
  ports: ReadonlyMap<ServiceName, Record<string, number>>,
  folder: string,
  say: Say,
): Promise<Pick<RunningCluster, "services" | "ports" | "environment">> {
  const secrets = readSecrets(folder);
  const portsOf = (service: Service) => ports.get(service.name) ?? {};
  const providedBy = (some: readonly Service[]) =>
    Object.assign({}, ...some.map((service) => service.provides({ ports: portsOf(service), secrets }))) as Record<
      string,
      string
    >;
  const started: [Service, ServiceState][] = [];
  const states = new Map<ServiceName, ServiceState>();
  const failures: unknown[] = [];
  const underWay = new Map<ServiceName, Promise<void>>();
  const bring = async (service: Service, index: number): Promise<void> => {
    await Promise.all(service.needs.map((need) => underWay.get(need)));
    if (failures.length > 0) return;
    const files = fetched.get(service.name);
    // Ports and secrets are decided, so the variables are known before the services run.
    const environment = providedBy(services.slice(0, index));
    const context: ServiceContext = {
      files: files?.folder ?? "",
      folder: serviceFolder(folder, service.name),
      ports: portsOf(service),
      secrets,
      environment,
    };
    try {
      const state =
        files === undefined
          ? await findRunning(service, context, folder, say)
          : await start(service, files.version, context, folder, say);
      if (files !== undefined) started.push([service, state]);
      states.set(service.name, state);
    } catch (error) {
      failures.push(error);
    }
  };
  for (const [index, service] of services.entries()) underWay.set(service.name, bring(service, index));
  await Promise.all(underWay.values());
  const [first, ...others] = failures;
  if (first !== undefined) {
    for (const [service, state] of started.toReversed()) await stop(service, state, folder);
    for (const other of others) say(messageOf(other));
    throw first;
  }
  return {
    services: states,
    ports: Object.assign({}, ...ports.values()) as Record<string, number>,
    environment: providedBy(services),
  };
}

async function start(
  service: Service,
  version: string,
  context: ServiceContext,
  folder: string,
  say: Say,
): Promise<ServiceState> {
  const started_at_ms = performance.now();
  makeFolder(context.folder, 0o711);
  await service.configure(context);
  const state = await launch(service, version, context, folder);
  say(
    `${service.title} ${version} started in ` +
      `${((performance.now() - started_at_ms) / 1000).toFixed(1)} s (process ${state.pid})`,
  );
  return state;
}

async function findRunning(service: Service, context: ServiceContext, folder: string, say: Say): Promise<ServiceState> {
  const state = await findAnswering(service, context, readState(folder, service.name));
  say(`${service.title} ${state.version} runs already (process ${state.pid})`);
  return state;
}

/** Stops these services in reverse order. Returns the names of those that ran. */
export async function stopServices(
  folder: string,
  names: readonly ServiceName[],
  say: Say = () => {},
): Promise<ServiceName[]> {
  if (!isCluster(folder)) return [];
  const claim = claimCluster(folder, "cluster down");
  const stopped: ServiceName[] = [];
  try {
    for (const service of SERVICES.toReversed()) {
      const state = names.includes(service.name) ? readState(folder, service.name) : null;
      if (state === null) continue;
      await stop(service, state, folder);
      stopped.push(service.name);
      say(`${service.title} stopped (process ${state.pid})`);
    }
    tellClients(folder);
    return stopped;
  } finally {
    claim.release();
  }
}

/** Writes the environment variables of the running services for clients. */
function tellClients(folder: string): void {
  const secrets = readSecrets(folder);
  const provided = SERVICES.map((service) => {
    const running = readRunning(folder, service.name);
    return running === null ? {} : service.provides({ ports: running.ports, secrets });
  });
  writeEnvironment(folder, Object.assign({}, ...provided) as Record<string, string>);
}

/** Stops every service, then deletes the cluster's folder with all its data. The cache of fetched files stays. */
export async function purge(folder: string, say: Say = () => {}): Promise<ServiceName[]> {
  if (!existsSync(folder)) return [];
  if (!isCluster(folder)) {
    throw new OperatingError(
      "NOT_A_CLUSTER",
      `The folder ${folder} holds no cluster of Coinlake; nothing in it was deleted`,
      {
        next_step: "Name the data folder that the cluster was started in with --data.",
      },
    );
  }
  const stopped = await stopServices(
    folder,
    SERVICES.map(({ name }) => name),
    say,
  );
  rmSync(folder, { recursive: true, force: true });
  return stopped;
}

function checkHasProc(): void {
  if (hasProc()) return;
  throw new OperatingError(
    "NATIVE_NEEDS_LINUX",
    "The native cluster runs on Linux alone: it tells processes and ports by /proc",
    {
      next_step: "Run the cluster with Docker: `coinlake cluster up` without --native.",
    },
  );
}
