import { existsSync, mkdirSync, rmSync } from "node:fs";
import { OperatingError } from "../errors.ts";
import type { Cache } from "./fetch/cache.ts";
import { cacheFolder } from "./fetch/cache.ts";
import { launch, notAnswering, stop, whyUnhealthy } from "./launch.ts";
import { hasProc, memoryOf } from "./machine/process.ts";
import type { Fetched, Part, PartName, Site } from "./part.ts";
import { PARTS, withNeeds } from "./parts.ts";
import { choosePorts, refuseTaken, type PortChoice } from "./ports.ts";
import { claimCluster, isCluster, openOrCreateCluster, partFolder, readRunning, readSecrets, readState, writeEnvironment, type PartState } from "./state.ts";

export interface StartOptions {
  /** The cluster's folder; made where it is new. */
  folder: string;
  ports: PortChoice;
  /** Where fetched files lie; the user's cache, silently, by default. */
  cache?: Cache;
  say?(text: string): void;
}

export interface RunningCluster {
  folder: string;
  /** By the port's name. */
  ports: Readonly<Record<string, number>>;
  parts: ReadonlyMap<PartName, PartState>;
  /** Variables by which clients find the parts, credentials included. */
  environment: Readonly<Record<string, string>>;
  /** Stops these parts, the last one first. Their data stay. */
  stop(): Promise<void>;
}

const silent = (): Cache => ({ folder: cacheFolder(), say() {}, progress: () => ({ update() {}, end() {} }) });

/**
 * Starts the parts named and those they need, or finds them running; resolves when each does its work. All or nothing: where one
 * fails, those that this call started are stopped again. Nothing is fetched while a port is taken, nothing started before all
 * is fetched.
 */
export async function startParts(names: readonly PartName[], options: StartOptions): Promise<RunningCluster> {
  refuseWithoutProc();
  const { folder, cache = silent(), say = () => {} } = options;
  const parts = withNeeds(names);
  const secrets = openOrCreateCluster(folder);
  const claim = claimCluster(folder, "cluster up");
  const started: [Part, PartState][] = [];
  try {
    const ports = await choosePorts(folder, parts, options.ports);
    const absent = parts.filter(({ name }) => readRunning(folder, name) === null);
    for (const part of absent) refuseTaken(part, ports.get(part.name) ?? {});
    const fetched = new Map<PartName, Fetched>();
    for (const part of absent) fetched.set(part.name, await part.fetch(cache));

    const states = new Map<PartName, PartState>();
    let environment: Record<string, string> = {};
    for (const part of parts) {
      const found = fetched.get(part.name);
      const site: Site = { files: found?.folder ?? "", folder: partFolder(folder, part.name), ports: ports.get(part.name) ?? {}, secrets, environment };
      const running = readRunning(folder, part.name);
      const state = running === null ? await start(part, found?.version ?? part.version, site, folder, say) : await findHealthy(part, site, running, say);
      if (running === null) started.push([part, state]);
      states.set(part.name, state);
      environment = { ...environment, ...part.provides(site) };
    }
    tellClients(folder);
    return {
      folder,
      ports: Object.assign({}, ...[...states.values()].map((state) => state.ports)) as Record<string, number>,
      parts: states,
      environment,
      stop: async () => void (await stopParts(folder, parts.map(({ name }) => name))),
    };
  } catch (error) {
    for (const [part, state] of started.toReversed()) await stop(part, state, folder);
    throw error;
  } finally {
    claim.release();
  }
}

async function start(part: Part, version: string, site: Site, folder: string, say: (text: string) => void): Promise<PartState> {
  const started_at_ms = performance.now();
  mkdirSync(site.folder, { recursive: true, mode: 0o711 });
  await part.configure(site);
  const state = await launch(part, version, site, folder);
  say(`${part.title} ${version} started in ${((performance.now() - started_at_ms) / 1000).toFixed(1)} s (process ${state.pid})`);
  return state;
}

async function findHealthy(part: Part, site: Site, state: PartState, say: (text: string) => void): Promise<PartState> {
  const reason = await whyUnhealthy(part, site, state);
  if (reason !== null) throw notAnswering(part, site, state, `when it was asked: ${reason}`);
  say(`${part.title} ${state.version} runs already (process ${state.pid})`);
  return state;
}

/** Writes down how clients find what runs now. */
function tellClients(folder: string): void {
  const secrets = readSecrets(folder);
  const provided = PARTS.map((part) => {
    const running = readRunning(folder, part.name);
    return running === null ? {} : part.provides({ ports: running.ports, secrets });
  });
  writeEnvironment(folder, Object.assign({}, ...provided) as Record<string, string>);
}

/** Stops these parts, the last one first, and names those that it stopped; those that do not run are passed over. */
export async function stopParts(folder: string, names: readonly PartName[], say: (text: string) => void = () => {}): Promise<PartName[]> {
  if (!isCluster(folder)) return [];
  const claim = claimCluster(folder, "cluster down");
  const stopped: PartName[] = [];
  try {
    for (const part of PARTS.toReversed()) {
      const state = names.includes(part.name) ? readState(folder, part.name) : null;
      if (state === null) continue;
      await stop(part, state, folder);
      stopped.push(part.name);
      say(`${part.title} stopped (process ${state.pid})`);
    }
    tellClients(folder);
    return stopped;
  } finally {
    claim.release();
  }
}

/** Stops everything, then deletes the cluster's folder with all its data. What was fetched stays in the cache. */
export async function purge(folder: string, say: (text: string) => void = () => {}): Promise<PartName[]> {
  if (!existsSync(folder)) return [];
  if (!isCluster(folder)) {
    throw new OperatingError("NOT_A_CLUSTER", `The folder ${folder} holds no cluster of Coinlake; nothing in it was deleted.`, {
      next_step: "Name the data folder that the cluster was started in with --data.",
    });
  }
  const stopped = await stopParts(folder, PARTS.map(({ name }) => name), say);
  rmSync(folder, { recursive: true, force: true });
  return stopped;
}

export interface PartStatus {
  part: PartName;
  title: string;
  version: string;
  /** `died`: it was started, not stopped, and is gone. */
  state: "running" | "not answering" | "died" | "stopped";
  pid: number | null;
  ports: Readonly<Record<string, number>>;
  memory_bytes: number | null;
  started_at: string | null;
  folder: string;
}

/** Looks at every part, changing nothing. */
export async function clusterStatus(folder: string): Promise<PartStatus[]> {
  refuseWithoutProc();
  return await Promise.all(PARTS.map((part) => statusOf(part, folder)));
}

async function statusOf(part: Part, folder: string): Promise<PartStatus> {
  const state = readState(folder, part.name);
  const known = { part: part.name, title: part.title, version: state?.version ?? part.version, ports: state?.ports ?? {}, folder: partFolder(folder, part.name) };
  if (state === null || readRunning(folder, part.name) === null) {
    return { ...known, state: state === null ? "stopped" : "died", pid: null, memory_bytes: null, started_at: state?.started_at ?? null };
  }
  const site: Site = { files: "", folder: known.folder, ports: state.ports, secrets: readSecrets(folder), environment: {} };
  const is_healthy = (await whyUnhealthy(part, site, state)) === null;
  return { ...known, state: is_healthy ? "running" : "not answering", pid: state.pid, memory_bytes: memoryOf(state.pid), started_at: state.started_at };
}

function refuseWithoutProc(): void {
  if (hasProc()) return;
  throw new OperatingError("NATIVE_NEEDS_LINUX", "The native cluster runs on Linux alone: it tells processes and ports by /proc.", {
    next_step: "Run the cluster with Docker: `coinlake cluster up` without --native.",
  });
}
