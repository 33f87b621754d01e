import { whyUnhealthy } from "./launch.ts";
import { memoryOf } from "./machine/process.ts";
import type { Service, ServiceName, ServiceContext } from "./service.ts";
import { SERVICES } from "./registry.ts";
import { serviceFolder, readRunning, readSecrets, readState } from "./state.ts";

export interface ServiceStatus {
  part: ServiceName;
  title: string;
  version: string;
  /** `died`: it was started and not stopped, and its process has ended. */
  state: "running" | "not answering" | "died" | "stopped";
  pid: number | null;
  ports: Readonly<Record<string, number>>;
  memory_bytes: number | null;
  started_at: string | null;
  /** Configuration, data and logs. */
  folder: string;
}

/** The status of every service. Changes nothing. */
export async function clusterStatus(folder: string): Promise<ServiceStatus[]> {
  return await Promise.all(SERVICES.map((service) => statusOf(service, folder)));
}

async function statusOf(service: Service, folder: string): Promise<ServiceStatus> {
  const state = readState(folder, service.name);
  const known = {
    part: service.name,
    title: service.title,
    version: state?.version ?? service.version,
    ports: state?.ports ?? {},
    started_at: state?.started_at ?? null,
    folder: serviceFolder(folder, service.name),
  };
  if (state === null) return { ...known, state: "stopped", pid: null, memory_bytes: null };
  if (readRunning(folder, service.name) === null) return { ...known, state: "died", pid: null, memory_bytes: null };
  const context: ServiceContext = {
    files: "",
    folder: known.folder,
    ports: state.ports,
    secrets: readSecrets(folder),
    environment: {},
  };
  const is_healthy = (await whyUnhealthy(service, context, state)) === null;
  return {
    ...known,
    state: is_healthy ? "running" : "not answering",
    pid: state.pid,
    memory_bytes: memoryOf(state.pid),
  };
}
