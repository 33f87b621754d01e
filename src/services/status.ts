import { whyUnhealthy } from "./launch.ts";
import { memoryOf } from "./machine/process.ts";
import type { Part, PartName, Site } from "./service.ts";
import { PARTS } from "./registry.ts";
import { partFolder, readRunning, readSecrets, readState } from "./state.ts";

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
  /** Configuration, data and logs. */
  folder: string;
}

/** Looks at every part, changing nothing. */
export async function clusterStatus(folder: string): Promise<PartStatus[]> {
  return await Promise.all(PARTS.map((part) => statusOf(part, folder)));
}

async function statusOf(part: Part, folder: string): Promise<PartStatus> {
  const state = readState(folder, part.name);
  const known = {
    part: part.name,
    title: part.title,
    version: state?.version ?? part.version,
    ports: state?.ports ?? {},
    started_at: state?.started_at ?? null,
    folder: partFolder(folder, part.name),
  };
  if (state === null) return { ...known, state: "stopped", pid: null, memory_bytes: null };
  if (readRunning(folder, part.name) === null) return { ...known, state: "died", pid: null, memory_bytes: null };
  const site: Site = {
    files: "",
    folder: known.folder,
    ports: state.ports,
    secrets: readSecrets(folder),
    environment: {},
  };
  const is_healthy = (await whyUnhealthy(part, site, state)) === null;
  return {
    ...known,
    state: is_healthy ? "running" : "not answering",
    pid: state.pid,
    memory_bytes: memoryOf(state.pid),
  };
}
