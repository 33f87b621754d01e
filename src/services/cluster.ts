import { existsSync, mkdirSync, rmSync } from "node:fs";
import { OperatingError, messageOf } from "../base/errors.ts";
import { cacheFolder, type Cache } from "./fetch/cache.ts";
import { findAnswering, launch, stop, untilPortsAreFree } from "./launch.ts";
import { hasProc } from "./machine/process.ts";
import type { Fetched, Part, PartName, Site } from "./service.ts";
import { PARTS, withNeeds } from "./registry.ts";
import { choosePorts, refuseTaken, type PortChoice } from "./ports.ts";
import {
  claimCluster,
  isCluster,
  openOrCreateCluster,
  partFolder,
  readRunning,
  readSecrets,
  readState,
  writeEnvironment,
  type PartState,
} from "./state.ts";

type Say = (text: string) => void;

export interface StartOptions {
  /** The cluster's folder; made where it is new. */
  folder: string;
  ports: PortChoice;
  /** Where fetched files lie; the user's cache, silently, by default. */
  cache?: Cache;
  say?: Say;
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
  openOrCreateCluster(folder);
  const claim = claimCluster(folder, "cluster up");
  try {
    const parts = withNeeds(names);
    const ports = await choosePorts(folder, parts, options.ports);
    const absent = parts.filter(({ name }) => readRunning(folder, name) === null);
    // Those that died may still be leaving.
    for (const { name } of absent) await untilPortsAreFree({ ports: readState(folder, name)?.ports ?? {} });
    for (const part of absent) refuseTaken(part, ports.get(part.name) ?? {});
    const fetched = new Map<PartName, Fetched>();
    for (const part of absent) fetched.set(part.name, await part.fetch(cache));
    const running = await startAll(parts, fetched, ports, folder, say);
    tellClients(folder);
    return {
      ...running,
      folder,
      stop: async () =>
        void (await stopParts(
          folder,
          parts.map(({ name }) => name),
        )),
    };
  } finally {
    claim.release();
  }
}

/**
 * Starts what was fetched, each part as soon as those it needs do their work, and waits for what runs already. Where one fails, no
 * other begins; those that have begun come to an end first, so that each is known and can be stopped.
 */
async function startAll(
  parts: readonly Part[],
  fetched: ReadonlyMap<PartName, Fetched>,
  ports: ReadonlyMap<PartName, Record<string, number>>,
  folder: string,
  say: Say,
): Promise<Pick<RunningCluster, "parts" | "ports" | "environment">> {
  const secrets = readSecrets(folder);
  const portsOf = (part: Part) => ports.get(part.name) ?? {};
  const providedBy = (some: readonly Part[]) =>
    Object.assign({}, ...some.map((part) => part.provides({ ports: portsOf(part), secrets }))) as Record<
      string,
      string
    >;
  const started: [Part, PartState][] = [];
  const states = new Map<PartName, PartState>();
  const failures: unknown[] = [];
  const underWay = new Map<PartName, Promise<void>>();
  const bring = async (part: Part, index: number): Promise<void> => {
    await Promise.all(part.needs.map((need) => underWay.get(need)));
    if (failures.length > 0) return;
    const files = fetched.get(part.name);
    // Known before they run: where they will be found is decided.
    const environment = providedBy(parts.slice(0, index));
    const site: Site = {
      files: files?.folder ?? "",
      folder: partFolder(folder, part.name),
      ports: portsOf(part),
      secrets,
      environment,
    };
    try {
      const state =
        files === undefined
          ? await findRunning(part, site, folder, say)
          : await start(part, files.version, site, folder, say);
      if (files !== undefined) started.push([part, state]);
      states.set(part.name, state);
    } catch (error) {
      failures.push(error);
    }
  };
  for (const [index, part] of parts.entries()) underWay.set(part.name, bring(part, index));
  await Promise.all(underWay.values());
  const [first, ...others] = failures;
  if (first !== undefined) {
    for (const [part, state] of started.toReversed()) await stop(part, state, folder);
    for (const other of others) say(messageOf(other));
    throw first;
  }
  return {
    parts: states,
    ports: Object.assign({}, ...ports.values()) as Record<string, number>,
    environment: providedBy(parts),
  };
}

async function start(part: Part, version: string, site: Site, folder: string, say: Say): Promise<PartState> {
  const started_at_ms = performance.now();
  mkdirSync(site.folder, { recursive: true, mode: 0o711 });
  await part.configure(site);
  const state = await launch(part, version, site, folder);
  say(
    `${part.title} ${version} started in ${((performance.now() - started_at_ms) / 1000).toFixed(1)} s (process ${state.pid})`,
  );
  return state;
}

async function findRunning(part: Part, site: Site, folder: string, say: Say): Promise<PartState> {
  const state = await findAnswering(part, site, readState(folder, part.name));
  say(`${part.title} ${state.version} runs already (process ${state.pid})`);
  return state;
}

/** Stops these parts, the last one first, and names those that it stopped; those that do not run are passed over. */
export async function stopParts(folder: string, names: readonly PartName[], say: Say = () => {}): Promise<PartName[]> {
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

/** Writes down how clients find what runs now. */
function tellClients(folder: string): void {
  const secrets = readSecrets(folder);
  const provided = PARTS.map((part) => {
    const running = readRunning(folder, part.name);
    return running === null ? {} : part.provides({ ports: running.ports, secrets });
  });
  writeEnvironment(folder, Object.assign({}, ...provided) as Record<string, string>);
}

/** Stops everything, then deletes the cluster's folder with all its data. What was fetched stays in the cache. */
export async function purge(folder: string, say: Say = () => {}): Promise<PartName[]> {
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
  const stopped = await stopParts(
    folder,
    PARTS.map(({ name }) => name),
    say,
  );
  rmSync(folder, { recursive: true, force: true });
  return stopped;
}

function refuseWithoutProc(): void {
  if (hasProc()) return;
  throw new OperatingError(
    "NATIVE_NEEDS_LINUX",
    "The native cluster runs on Linux alone: it tells processes and ports by /proc",
    {
      next_step: "Run the cluster with Docker: `coinlake cluster up` without --native.",
    },
  );
}
