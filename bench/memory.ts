import { readFileSync, readdirSync } from "node:fs";

const SAMPLE_MS = 100;

export interface MemoryPeak {
  /** Peak resident memory of the process in MB (10^6 bytes). */
  process_mb: number;
  /** Peak of the process and all its descendants. Shared pages count in each. */
  tree_mb: number;
}

/** Samples a process and its descendants through /proc until the caller stops it; all figures are 0 without /proc. */
export function watchMemory(pid: number): () => MemoryPeak {
  const peak: MemoryPeak = { process_mb: 0, tree_mb: 0 };
  const timer = setInterval(() => {
    const own = residentMb(pid);
    const tree = own + descendants(pid).reduce((sum, child) => sum + residentMb(child), 0);
    peak.process_mb = Math.max(peak.process_mb, Math.round(own));
    peak.tree_mb = Math.max(peak.tree_mb, Math.round(tree));
  }, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

function residentMb(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readProc(`/proc/${pid}/status`));
  return (Number(match?.[1] ?? 0) * 1024) / 1e6;
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of listProc()) {
    const after_name = readProc(`/proc/${name}/stat`).split(") ")[1];
    if (after_name) parents.set(Number(name), Number(after_name.split(" ")[1]));
  }
  const found = [pid];
  for (const ancestor of found) for (const [child, parent] of parents) if (parent === ancestor) found.push(child);
  return found.slice(1);
}

function listProc(): string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return []; // No /proc on this system: the figures stay zero, and are printed as unknown.
  }
}

/** The process may end between the listing and the read. */
function readProc(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
