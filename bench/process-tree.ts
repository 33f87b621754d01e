import { readFileSync } from "node:fs";
import { childrenOf } from "../src/services/machine/process.ts";

/** Clock ticks per second, the unit of CPU time in /proc. */
const TICKS = 100;

export interface ProcessLoad {
  pid: number;
  /** The program with its arguments. */
  command: string;
  /** CPU time of the process itself. */
  cpu_seconds: number;
  rss_bytes: number;
  /** Proportional set size (PSS); resident memory where the system does not report it. */
  pss_bytes: number;
}

/** A process and all its descendants, itself first; without those that have just ended. */
export function processTree(pid: number): ProcessLoad[] {
  return [pid, ...descendants(pid)].flatMap((one) => loadOf(one) ?? []);
}

function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

function loadOf(pid: number): ProcessLoad | null {
  const stat = readProc(pid, "stat");
  // User and system time (proc(5), fields 14 and 15), after the name in parentheses.
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  if (user === undefined || system === undefined) return null;
  const rss_bytes = kilobytes(readProc(pid, "status"), "VmRSS");
  return {
    pid,
    command: readProc(pid, "cmdline").replaceAll("\0", " ").trim(),
    cpu_seconds: (user + system) / TICKS,
    rss_bytes,
    pss_bytes: kilobytes(readProc(pid, "smaps_rollup"), "Pss") || rss_bytes,
  };
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
}

/** Empty for a process that has ended or belongs to another user. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
